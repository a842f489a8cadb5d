import { explainOutput, isHeldByAnother } from './embedded-complaints.ts';

test.each([
  ['no-shared-memory', 'FATAL:  could not create shared memory segment: No space left on device'],
  ['no-shared-memory', 'FATAL:  could not map anonymous shared memory: Cannot allocate memory'],
  ['disk-full', 'FATAL:  could not write lock file "postmaster.pid": No space left on device'],
  ['disk-full', 'initdb: error: could not write file "x": Disk quota exceeded'],
  ['port-taken', 'LOG:  could not bind IPv4 address "127.0.0.1": Address already in use\nFATAL:  could not create any TCP/IP sockets'],
  ['no-account', 'initdb: error: could not look up effective user ID 12345: user does not exist'],
  ['not-writable', 'FATAL:  data directory "/x" has invalid permissions'],
  ['not-writable', 'initdb: error: could not create directory "/x": Permission denied'],
  ['wrong-version', 'FATAL:  database files are incompatible with server'],
  ['failed', 'FATAL:  something that nobody thought of'],
])('%s: %s', (kind, output) => {
  const error = explainOutput('start the server', output);
  expect(error.kind).toBe(kind);
  expect(error.message).toContain(output);
  expect(error.message).toContain('TEKAI_DATABASE_URL');
});

test('a folder that another server or its last backends hold is a reason to look again', () => {
  expect(isHeldByAnother('FATAL:  lock file "postmaster.pid" already exists')).toBe(true);
  expect(isHeldByAnother('FATAL:  pre-existing shared memory block (key 1, ID 2) is still in use')).toBe(true);
  expect(isHeldByAnother('FATAL:  could not open file')).toBe(false);
});
