"""The steps of the book's driver, in the order in which book/build.py takes them."""
