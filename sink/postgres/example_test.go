package postgres_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/tickstorm/tickstorm/sink/postgres"
)

// The statements that make the tables, for who makes them by hand.
func ExampleDDL() {
	ddl, err := postgres.DDL(postgres.Config{Schema: "market", Layout: postgres.Plain})
	if err != nil {
		log.Fatal(err)
	}
	_, trades, _ := strings.Cut(ddl, `CREATE TABLE IF NOT EXISTS "market"."trades"`)
	trades, _, _ = strings.Cut(trades, "\n);")
	for line := range strings.Lines(trades) {
		if strings.Contains(line, "price") || strings.Contains(line, "PRIMARY KEY") {
			fmt.Println(strings.TrimSpace(line))
		}
	}
	// Output:
	// "price" double precision, -- p: The price of a share, contract or coin. (quote currency)
	// PRIMARY KEY ("segment", "message_number", "element_number")
}
