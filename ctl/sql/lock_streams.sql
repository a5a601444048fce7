-- Nobody takes, moves or adds a stream until the transaction ends. A batch that is being written is waited for.
lock table stream_positions in exclusive mode
