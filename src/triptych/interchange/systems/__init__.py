"""One file for each foreign system, with both directions: `FORMATS` it is written in, `SYSTEMS` it is read from."""
