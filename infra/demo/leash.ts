// Loaded into a program that must not outlive the one that started it (`node --import leash.js program.js`): the starter holds
// the other end of our standard input, and the kernel lets go of it when the starter dies, by kill -9 too.

/** Stopping an engine takes a second or two; one that hangs must not keep the next one out. */
const STOP_MS_MAX = 20_000;

process.stdin.on('error', () => undefined);
process.stdin.on('close', () => {
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), STOP_MS_MAX).unref();
  process.kill(process.pid, 'SIGTERM');
});
process.stdin.resume();
// It is no reason for the program to stay.
(process.stdin as NodeJS.ReadStream & { unref?(): void }).unref?.();
