module github.com/tickstorm/tickstorm/sink/postgres

go 1.26.0

require (
	github.com/jackc/pgx/v5 v5.12.0
	github.com/stretchr/testify v1.12.1
	github.com/tickstorm/tickstorm v0.0.0
	github.com/tickstorm/tickstorm/record v0.0.0
	github.com/tickstorm/tickstorm/sink v0.0.0
)

require (
	github.com/gobwas/httphead v0.1.0 // indirect
	github.com/gobwas/ws v1.5.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/klauspost/compress v1.20.4 // indirect
	github.com/valyala/fastjson v1.6.10 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/text v0.41.0 // indirect
)

replace (
	github.com/tickstorm/tickstorm => ../..
	github.com/tickstorm/tickstorm/record => ../../record
	github.com/tickstorm/tickstorm/sink => ..
)
