module github.com/tickstorm/tickstorm/sink/kafka

go 1.26.0

require (
	github.com/stretchr/testify v1.12.1
	github.com/tickstorm/tickstorm v0.0.0
	github.com/tickstorm/tickstorm/record v0.0.0
	github.com/tickstorm/tickstorm/sink v0.0.0
	github.com/twmb/franz-go v1.22.3
	github.com/twmb/franz-go/pkg/kadm v1.20.0
	github.com/twmb/franz-go/pkg/kfake v0.0.0-20260918054303-01f206a7e32c
	github.com/twmb/franz-go/pkg/kmsg v1.15.1
)

require (
	github.com/gobwas/httphead v0.1.0 // indirect
	github.com/gobwas/ws v1.5.0 // indirect
	github.com/klauspost/compress v1.20.4 // indirect
	github.com/pierrec/lz4/v4 v4.1.33 // indirect
	github.com/valyala/fastjson v1.6.10 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace (
	github.com/tickstorm/tickstorm => ../..
	github.com/tickstorm/tickstorm/record => ../../record
	github.com/tickstorm/tickstorm/sink => ..
)
