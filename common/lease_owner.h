/* Who holds a stream's lease in stream_positions: its program or process, and 64 random bits, so
 * that a restart is somebody else. */
#ifndef METERLINE_LEASE_OWNER_H
#define METERLINE_LEASE_OWNER_H

#define LEASE_OWNER_SIZE 40

/* who: at most 20 characters. After sodium_init. */
void lease_owner_name(const char *who, char out[LEASE_OWNER_SIZE]);

#endif
