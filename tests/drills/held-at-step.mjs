// Loaded before an engine and its workers: having said that it took the step named in the file DRILL_STEP_FILE, the process
// and the other of the two stand still for a moment. Who watches its lines can then kill it there: however loaded the
// machine, the next step has not begun. Every step comes before the answer to who delivered; so that is held at as well: the
// bytes of a 2xx are with the kernel, and whatever the engine left for later has not begun.
import childProcess from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import { syncBuiltinESMExports } from 'node:module';

/** Far more than a busy machine needs to read a line and kill; a step that nobody aimed at is held as long. */
const HELD_MS = 1_000;
const nothing = new Int32Array(new SharedArrayBuffer(4));
/** Of the engine: its workers. Of the workers: the engine. */
let other = process.channel === undefined ? undefined : process.ppid;

const { fork } = childProcess;
childProcess.fork = (...given) => {
  const child = fork(...given);
  other = child.pid;
  return child;
};

// The logger hands its lines to a thread and goes on: here each is out before the next step begins.
const { write, writeSync } = fs;
fs.write = (fd, said, ...more) => {
  const then = more.at(-1);
  if (fd !== 1 || typeof then !== 'function') return write(fd, said, ...more);
  let bytes;
  try {
    bytes = writeSync(fd, said);
  } catch (error) {
    return then(error);
  }
  if (String(said).includes('"step":"')) holdAt(String(said));
  return then(null, bytes);
};
syncBuiltinESMExports();

const { end } = http.ServerResponse.prototype;
http.ServerResponse.prototype.end = function (...given) {
  const ended = end.apply(this, given);
  if (this.statusCode < 300 && this.req.url.startsWith('/webhooks/') && heldAt() === 'answered') {
    writeSync(1, '{"drill":"answered"}\n');
    hold('answered');
  }
  return ended;
};

const heldAt = () => fs.readFileSync(process.env['DRILL_STEP_FILE'], 'utf8');

function holdAt(line) {
  const step = heldAt();
  if (step !== '' && line.includes(`"step":"${step}"`)) hold(step);
}

/** The engine may say `projected` and `told` of a version before its worker came to saying `stored`: then the worker must go on, or nobody knows whose step that was. */
function hold(step) {
  const isLast = step === 'projected' || step === 'told';
  if (!isLast) signal('SIGSTOP');
  Atomics.wait(nothing, 0, 0, HELD_MS);
  if (!isLast) signal('SIGCONT');
}

function signal(name) {
  try {
    if (other !== undefined) process.kill(other, name);
  } catch {
    // It has ended.
  }
}
