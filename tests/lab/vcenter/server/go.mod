module cloudexit.local/vcenter

go 1.25.0

require (
	github.com/klauspost/compress v1.18.0
	github.com/vmware/govmomi v0.55.1
)

require github.com/google/uuid v1.6.0 // indirect
