import type { sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js';
import gossip from '@eventstore/db-client/generated/gossip_pb.js';
import type { ClusterInfo } from '@eventstore/db-client/generated/gossip_pb.js';
import shared from '@eventstore/db-client/generated/shared_pb.js';
import type { Empty } from '@eventstore/db-client/generated/shared_pb.js';
import { countCall, type Double } from '../double.ts';

/** Who is in the cluster, and who leads: asked of any node by whoever has only seeds. It asks without saying who it is. */
export function gossipHandler(double: Double) {
  return (_call: ServerUnaryCall<Empty, ClusterInfo>, answer: sendUnaryData<ClusterInfo>): void => {
    countCall(double, 'gossip');
    const leader = double.nodes.leader();
    const members = double.nodes.all().map((node) => new gossip.MemberInfo()
      .setInstanceId(new shared.UUID().setString(node.id))
      .setTimeStamp(String(BigInt(Date.now()) * 10_000n))
      .setState(node === leader ? gossip.MemberInfo.VNodeState.LEADER : gossip.MemberInfo.VNodeState.FOLLOWER)
      .setIsAlive(node.isUp)
      .setHttpEndPoint(new gossip.EndPoint().setAddress(node.host).setPort(node.port)));
    answer(null, new gossip.ClusterInfo().setMembersList(members));
  };
}
