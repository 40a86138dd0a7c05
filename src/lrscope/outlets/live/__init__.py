"""The live page: studies of a folder, followed while they are trained.

bind       a socket on this machine, and the address to open
token      the secret in that address, kept from one start to the next
Guard      what a request must be before it is answered, and what every answer carries
Shelf      the studies that are offered, and what is wrong with the others
Edition    one study as of one commit, and what has been made of it; Editions: the current ones
Worker     one thread for what takes long
page, page_app, serve
"""
