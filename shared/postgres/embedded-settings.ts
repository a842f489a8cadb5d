import { join } from 'node:path';

/** Linux allows 107 bytes for the path of a socket, macOS 103; `/.s.PGSQL.65535` takes 15 of them. */
const SOCKET_FOLDER_BYTES_MAX = 88;

/**
 * The server's settings, given on its command line at every start: a new release of the engine brings its own, and what is not
 * named here an operator may still set by ALTER SYSTEM.
 */
export function settingsOf({ data, port }: { data: string; port: number }): Record<string, string> {
  return {
    port: String(port),
    listen_addresses: '127.0.0.1',
    // A socket in the data folder (mode 700), for the operator's psql; none where its path would be too long.
    unix_socket_directories: Buffer.byteLength(data) <= SOCKET_FOLDER_BYTES_MAX ? quoted(data) : '',

    // What was answered is on the disk, whole: the log's promise rests on these.
    fsync: 'on',
    full_page_writes: 'on',
    synchronous_commit: 'on',
    // No standby is fed from here, so bulk loads need not write everything twice.
    wal_level: 'minimal',
    max_wal_senders: '0',
    max_wal_size: '1GB',
    checkpoint_timeout: '10min',

    max_connections: '100',
    shared_buffers: '128MB',
    work_mem: '8MB',
    maintenance_work_mem: '64MB',
    effective_cache_size: '512MB',
    random_page_cost: '1.1',
    // Many small statements: compiling one costs more than it saves.
    jit: 'off',
    // Parallel plans take their memory from /dev/shm, 64 MB in a Docker container, and fail there as if the disk were full.
    max_parallel_workers_per_gather: '0',
    max_parallel_maintenance_workers: '0',

    timezone: 'UTC',
    log_timezone: 'UTC',
    log_checkpoints: 'off',
    // Statements and parameters may hold secrets, and who sent a wrong one is told: the server's log has the server's own fate only.
    log_min_messages: 'log',
    log_min_error_statement: 'panic',
    log_parameter_max_length_on_error: '0',
  };
}

/** The command line of the postmaster; `data` in it is how we know it again (embedded-pid-file.ts). */
export function commandLine(data: string, port: number): string[] {
  return ['-D', data, ...Object.entries(settingsOf({ data, port })).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}

/** The server's own log: restarts, recovery, refused connections. */
export const serverLogOf = (home: string): string => join(home, 'postgres.log');

/** The setting is a list of folders: quotes keep a comma or a blank in the path. */
function quoted(directory: string): string {
  return `"${directory.replaceAll('"', '""')}"`;
}
