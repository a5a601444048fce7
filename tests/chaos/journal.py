"""What really is in the streams: Redis notes each XADD in a list, in the same atomic step.

So an entry whose answer was lost is known exactly: there, there twice, or not. The entry itself is
what any service would have added. The stream is trimmed when it is counted; the journal stays."""

ADD = """local id = redis.call('XADD', KEYS[1], '*', unpack(ARGV, 2))
redis.call('RPUSH', KEYS[2], ARGV[1] .. ' ' .. id)
return id"""


def journal_of(stream):
    return f"journal of {stream}"


def add_command(stream, note, pairs):
    """The command that adds one entry. note: without spaces; comes back from read_journal."""
    words = [word for pair in pairs for word in pair]
    return ("EVAL", ADD, 2, stream, journal_of(stream), note, *words)


def read_journal(client, stream, page=50_000):
    """(note, entry id) of every entry there ever was, in the stream's order."""
    start = 0
    while lines := client.lrange(journal_of(stream), start, start + page - 1):
        for line in lines:
            yield line.split(" ")
        start += len(lines)
