"""Fantail: live logs and states of jobs. `fantail.broker` is the library, `fantail.web` the server and the command."""
