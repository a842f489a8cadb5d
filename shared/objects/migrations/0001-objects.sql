-- Where every live object is, and what the scanner found in it. A cache of pack footers and scan results, written by the
-- storage-writer alone: a tree is here only when everything below it is.

-- A pack's 32 bytes once, and 4 in every row of objects.
create table object_packs (
  pack_no int generated always as identity primary key,
  sha256 bytea not null unique
);

create table object_languages (
  language_no smallint generated always as identity primary key,
  name text not null unique
);

-- Wide columns first: between a short one and a wide one Postgres leaves a gap. A row takes 165 bytes with its index.
create table objects (
  block_offset bigint not null,
  -- bigint, because one object of more than 2 GiB is one block.
  block_bytes bigint not null,
  -- Plain size of the object.
  bytes bigint not null,
  pack_no int not null,
  place_in_block int not null,
  -- Null for binary content, and for what is no blob.
  lines int,
  -- As in a git pack: 1 commit, 2 tree, 3 blob.
  kind smallint not null,
  -- 1 scanned, 2 binary, 4 generated, 8 vendored, 16 pointer to large file storage.
  flags smallint not null,
  language_no smallint,
  id bytea primary key,
  -- Of a scanned tree: {files, bytes, languages}.
  totals jsonb
);
