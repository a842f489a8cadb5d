// "go install" of SeaweedFS itself is refused: its go.mod replaces modules. Required by another module, its replacements do not count.
module tekai/seaweedfs

go 1.26.6

require github.com/seaweedfs/seaweedfs v0.0.0-20261109003541-7506e5f91cd6
