"""The files of deploy/ name nothing that does not exist, and fit what they are written for."""
