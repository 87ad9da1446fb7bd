"""What `payments doctor` finds, with each fault planted in real servers, files and settings."""
