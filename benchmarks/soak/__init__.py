"""A real server under mixed load for as long as one likes, hurt each minute: ``python -m benchmarks.soak``.

site        the server, its images and its small caches     targets     what is asked for
references  what each answer must be                        windows     which statuses are allowed, and when
clients     who asks, and judges what comes                 faults      what is done to the server
samples     memory, descriptors, rates, and their trends    report      what is told of it
plot        the same as a picture (``python -m benchmarks.soak.plot RECORD.jsonl PLOT.svg``)
"""
