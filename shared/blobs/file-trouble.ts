import { Unavailable } from '#shared/runtime/unavailable.ts';

/** What the operating system says when a disk cannot be used now, and what mends it. Any other code is a bug of ours and goes on as it is. */
const REMEDIES: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: free space or enlarge it; work goes on by itself then',
  EDQUOT: 'the disk quota is used up: free space or raise it; work goes on by itself then',
  EROFS: 'the file system is read-only: the kernel does that after disk errors (see dmesg); check it and mount it writable',
  EACCES: 'this process may not use it: give its user read and write access to the folder',
  EPERM: 'this process may not use it: give its user read and write access to the folder',
  EIO: 'the disk reports an error: check it (dmesg, smartctl) and restore from a copy what it lost',
  EMFILE: 'this process has too many files open: raise its limit (ulimit -n)',
  ENFILE: 'this machine has too many files open: raise fs.file-max',
  ENODEV: 'the device is gone: check that the volume is mounted',
  ENXIO: 'the device is gone: check that the volume is mounted',
  ESTALE: 'the network file system lost the folder: mount it again',
  ENOTCONN: 'the network file system is not connected: mount it again',
  ETIMEDOUT: 'the network file system does not answer: check it',
  EBUSY: 'the file system is busy',
  EAGAIN: 'the file system is busy',
};

/** The error as those who wait understand it: Unavailable when the disk is to blame, unchanged otherwise. */
export function asFileTrouble(dependency: string, path: string, error: unknown): unknown {
  const { code, syscall } = codeOf(error);
  const remedy = code === undefined ? undefined : REMEDIES[code];
  return remedy === undefined ? error : new Unavailable(dependency, `${syscall ?? 'access'} ${path}: ${code}: ${remedy}`, { cause: error });
}

export function isMissingFile(error: unknown): boolean {
  return codeOf(error).code === 'ENOENT';
}

/** Asks for no class: Jest runs tests in a realm of their own, where Node's errors are not instances of Error. */
function codeOf(error: unknown): Pick<NodeJS.ErrnoException, 'code' | 'syscall'> {
  return typeof error === 'object' && error !== null ? error : {};
}
