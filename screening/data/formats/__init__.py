"""Files of every format as records of text, one file per format."""
