/* The name under which a process holds a stream's lease in stream_positions. It ends in 64 random
 * bits, so that a process that was restarted is another owner. */
#ifndef METERLINE_LEASE_OWNER_H
#define METERLINE_LEASE_OWNER_H

#define LEASE_OWNER_SIZE 40

/* who: the program, or a name of the process; cut to 20 characters. Call sodium_init before. */
void lease_owner_name(const char *who, char out[LEASE_OWNER_SIZE]);

#endif
