import type http from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import gossip from '@eventstore/db-client/generated/gossip_grpc_pb.js';
import serverFeatures from '@eventstore/db-client/generated/serverfeatures_grpc_pb.js';
import streams from '@eventstore/db-client/generated/streams_grpc_pb.js';
import { createAdminDoor } from './admin/admin-door.ts';
import type { Double } from './double.ts';
import { createFaults } from './faults.ts';
import { guarded } from './grpc/access.ts';
import { appendHandler } from './grpc/append.ts';
import { batchAppendHandler } from './grpc/batch-append.ts';
import { deleteHandler, tombstoneHandler } from './grpc/delete.ts';
import { gossipHandler } from './grpc/gossip.ts';
import { readHandler } from './grpc/read.ts';
import { supportedMethodsHandler } from './grpc/server-features.ts';
import { openNodes } from './nodes.ts';
import { openEventStore } from './store/event-store.ts';

export interface DoubleOptions {
  /** Of the first node. 0: any free port. */
  readonly port: number;
  readonly adminPort: number;
  /** Where events are kept; without it they are in memory only. A start on the same folder goes on, without the recent ids. */
  readonly directory: string | undefined;
  /** More than one are a cluster, of which the first leads. */
  readonly nodes?: number;
  /** PEM. Without it connections are in the clear. */
  readonly tls?: { readonly certificate: Buffer; readonly key: Buffer };
  /** Passwords by name. Without any, anybody may do everything. */
  readonly users?: ReadonlyMap<string, string>;
}

export interface RunningDouble {
  /** For the client: `esdb://127.0.0.1:2113?tls=false`, without user and authority. */
  readonly url: string;
  readonly adminUrl: string;
  stop(): void;
}

const HOST = '127.0.0.1';
/** Appends over the server's own bound are refused in its words, not in gRPC's. */
const GRPC_OPTIONS = { 'grpc.max_receive_message_length': -1 };

export async function startDouble({ port, adminPort, directory, nodes: count = 1, tls, users = new Map() }: DoubleOptions): Promise<RunningDouble> {
  const server = new Server(GRPC_OPTIONS);
  const injector = server.createConnectionInjector(tls === undefined ? ServerCredentials.createInsecure() : ServerCredentials.createSsl(null, [{ cert_chain: tls.certificate, private_key: tls.key }]));
  const nodes = await openNodes({ host: HOST, ports: Array.from({ length: count }, (_, index) => (index === 0 ? port : 0)), onConnection: (socket) => injector.injectConnection(socket) });
  const double: Double = { store: openEventStore(directory), faults: createFaults(), subscriptions: new Set(), calls: new Map(), nodes, users };
  server.addService(streams.StreamsService, {
    append: guarded(double, appendHandler(double)), batchAppend: guarded(double, batchAppendHandler(double)), read: guarded(double, readHandler(double)),
    delete: guarded(double, deleteHandler(double)), tombstone: guarded(double, tombstoneHandler(double)),
  });
  // Asked before anybody says who they are.
  server.addService(serverFeatures.ServerFeaturesService, { getSupportedMethods: supportedMethodsHandler });
  server.addService(gossip.GossipService, { read: gossipHandler(double) });

  const admin = createAdminDoor(double);
  const httpPort = await listen(admin, adminPort);
  const places = nodes.all().map((node) => `${HOST}:${node.port}`).join(',');
  return {
    url: `esdb://${places}?tls=${tls !== undefined}`,
    adminUrl: `http://${HOST}:${httpPort}`,
    stop() {
      admin.close();
      admin.closeAllConnections();
      nodes.close();
      server.forceShutdown();
    },
  };
}

function listen(server: http.Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, HOST, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}
