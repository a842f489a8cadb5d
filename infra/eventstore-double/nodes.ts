import { randomUUID } from 'node:crypto';
import net, { type AddressInfo, type Server, type Socket } from 'node:net';

/** One address of the double. All show one store: what makes a cluster hard to talk to is who answers, not how it copies. */
export interface Node {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  isUp: boolean;
}

export interface Nodes {
  all(): readonly Node[];
  leader(): Node;
  /** The node that a connection, by what gRPC calls its peer, was made to. */
  of(peer: string): Node | undefined;
  /** Ends one connection. */
  cut(peer: string): void;
  /** Another leads from now on. */
  lead(index: number): void;
  /** Ends its connections and takes none; when it led, the next one that is up does. */
  takeDown(index: number): Promise<void>;
  bringUp(index: number): Promise<void>;
  close(): void;
}

export interface NodesOptions {
  readonly host: string;
  /** One a node; 0 takes a free one. */
  readonly ports: readonly number[];
  onConnection(socket: Socket): void;
}

interface Connection { readonly socket: Socket; readonly node: Node }

export async function openNodes({ host, ports, onConnection }: NodesOptions): Promise<Nodes> {
  // Sockets of our own, so that one connection can be cut.
  const connections = new Map<string, Connection>();
  const opened: { node: Node; listener: Server }[] = [];
  let leading = 0;

  for (const asked of ports) {
    const { node, listener } = createNode();
    await listen(listener, asked);
    opened.push({ node: Object.assign(node, { port: (listener.address() as AddressInfo).port }), listener });
  }
  const at = (index: number) => {
    const found = opened[index];
    if (found === undefined) throw new Error(`there is no node ${index}; there are ${opened.length}`);
    return found;
  };

  return {
    all: () => opened.map(({ node }) => node),
    leader: () => at(leading).node,
    of: (peer) => connections.get(peer)?.node,
    cut: (peer) => void connections.get(peer)?.socket.destroy(),
    lead(index) {
      if (!at(index).node.isUp) throw new Error(`node ${index} is down`);
      leading = index;
    },
    async takeDown(index) {
      const { node, listener } = at(index);
      const next = opened.findIndex((other) => other.node.isUp && other.node !== node);
      if (next < 0) throw new Error('it is the last one that is up: end the process instead');
      node.isUp = false;
      if (leading === index) leading = next;
      const closed = new Promise((resolve) => { listener.close(resolve); });
      for (const one of connections.values()) if (one.node === node) one.socket.destroy();
      await closed;
    },
    async bringUp(index) {
      const { node, listener } = at(index);
      if (node.isUp) return;
      await listen(listener, node.port);
      node.isUp = true;
    },
    close() {
      for (const { listener } of opened) listener.close();
      for (const { socket } of connections.values()) socket.destroy();
    },
  };

  function createNode(): { node: Node; listener: Server } {
    const node: Node = { id: randomUUID(), host, port: 0, isUp: true };
    const listener = net.createServer((socket) => {
      const peer = `${socket.remoteAddress}:${socket.remotePort}`;
      connections.set(peer, { socket, node });
      socket.setNoDelay(true);
      socket.on('close', () => connections.delete(peer));
      socket.on('error', () => socket.destroy());
      onConnection(socket);
    });
    return { node, listener };
  }

  function listen(server: Server, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => {
        server.off('error', reject);
        resolve();
      });
    });
  }
}
