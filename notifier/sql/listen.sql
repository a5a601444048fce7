-- Asks to be told when a message was committed.
LISTEN meterline_messages
