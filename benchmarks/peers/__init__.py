"""This server beside its peers and beside the least that the machine needs: ``python -m benchmarks.peers``.

sources     the images                  drawing     what is in them
requests    what is asked for           load        who asks, and how long it took
servers     ours and the peers          floors      what nobody can undercut
running     a server's processes        install     peers from their registries
workloads   what is measured            bars        what is wanted of it
session     what a real viewer asked for (``python -m benchmarks.peers.record`` records it anew)
table       the figures as Markdown     __main__    whose turn it is
"""
