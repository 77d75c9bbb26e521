"""Recording a command: its terminals, its lines, its exit code.
Start at `process_runner.py`.

    line_decoder.py      bytes to lines
    pipe_recorder.py     `fantail pipe`
    process_runner.py    `fantail run`
    stream_recorder.py   one stream: echoed, masked, split, appended
    terminals.py         terminals or pipes
"""
