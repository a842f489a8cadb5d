-- Made by somebody who is no system admin: it goes to public addresses only, whatever is allowed for others.
alter table follower_webhooks add column is_public_only boolean not null default false;
