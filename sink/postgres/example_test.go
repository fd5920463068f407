package postgres_test

import (
	"context"
	"log"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/postgres"
)

// What is recorded in a folder goes into the database that the PG* variables name, as long as it
// comes. Started again it goes on where the database has confirmed.
func ExampleEngine() {
	connection, err := pgx.ParseConfig("") // PGHOST, PGUSER, PGPASSWORD, PGSERVICE and so on
	if err != nil {
		log.Fatal(err)
	}
	engine, err := postgres.NewEngine(postgres.Config{Connection: connection, Schema: "market"})
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()
	folder := sink.NewFolder(sink.FolderConfig{Paths: []string{"recordings"}, Cursor: "postgres.cursor", Follow: 200 * time.Millisecond})
	runner, err := sink.NewRunner(engine, folder, sink.Config{DeadLetters: "dead.jsonl"})
	if err != nil {
		log.Fatal(err)
	}
	if err := runner.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
