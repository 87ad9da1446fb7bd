"""Each stage with its neighbours, over real databases and sockets."""
