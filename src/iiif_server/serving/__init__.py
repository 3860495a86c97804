"""Running the server: sockets, signals, drain, reload, one process or several."""
