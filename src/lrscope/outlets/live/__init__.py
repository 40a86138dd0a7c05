"""The live page: studies of a folder, followed while they are trained.

security   the socket and address, the secret in the address, and the check of requests
studies    the list of studies, and each of them as it is shown after one commit
app        the answers to requests
server     serving until Ctrl-C
"""
