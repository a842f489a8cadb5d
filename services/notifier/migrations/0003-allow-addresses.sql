-- Private ranges where a receiver may be. Those that are known already were made when nobody was asked: they keep what they had.
alter table follower_webhooks add column allow_addresses text[] not null default '{10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,fc00::/7}';
alter table follower_webhooks alter column allow_addresses set default '{}';
