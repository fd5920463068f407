module github.com/tickstorm/tickstorm/sink/parquet

go 1.26.0

require (
	github.com/parquet-go/parquet-go v0.32.0
	github.com/stretchr/testify v1.12.1
	github.com/tickstorm/tickstorm v0.0.0
	github.com/tickstorm/tickstorm/record v0.0.0
	github.com/tickstorm/tickstorm/sink v0.0.0
)

require (
	github.com/andybalholm/brotli v1.1.1 // indirect
	github.com/gobwas/httphead v0.1.0 // indirect
	github.com/gobwas/ws v1.5.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/klauspost/compress v1.20.4 // indirect
	github.com/parquet-go/bitpack v1.0.0 // indirect
	github.com/parquet-go/jsonlite v1.0.0 // indirect
	github.com/pierrec/lz4/v4 v4.1.21 // indirect
	github.com/twpayne/go-geom v1.6.1 // indirect
	github.com/valyala/fastjson v1.6.10 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sys v0.38.0 // indirect
	google.golang.org/protobuf v1.34.2 // indirect
)

replace (
	github.com/tickstorm/tickstorm => ../..
	github.com/tickstorm/tickstorm/record => ../../record
	github.com/tickstorm/tickstorm/sink => ..
)
