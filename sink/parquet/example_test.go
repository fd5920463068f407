package parquet_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sink/parquet"
)

// A sink writes what was recorded; the second finds nothing to do.
func ExampleSink() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	rec, err := record.NewRecorder(record.Config{Dir: filepath.Join(dir, "recordings"), Market: tickstorm.Stocks, MinFree: -1})
	if err != nil {
		log.Fatal(err)
	}
	if err := rec.Start(); err != nil { // as a client's Tap it would be told all this
		log.Fatal(err)
	}
	received := time.Date(2026, 11, 25, 17, 0, 0, 0, time.UTC)
	rec.OnMessage([]byte(`[{"ev":"T","sym":"AAPL","p":210.5,"s":100,"t":1795626000000},{"ev":"Q","sym":"MSFT","bp":99}]`), received.UnixNano())
	if err := rec.Close(context.Background()); err != nil {
		log.Fatal(err)
	}
	to := filepath.Join(dir, "parquet")
	for range 2 {
		sink, err := parquet.New(parquet.Config{From: []string{filepath.Join(dir, "recordings")}, To: to})
		if err != nil {
			log.Fatal(err)
		}
		if err := sink.Run(context.Background()); err != nil {
			log.Fatal(err)
		}
		s := sink.Stats()
		fmt.Println(s.Segments, "segment,", s.Rows-s.Gaps, "rows")
	}
	parts, err := filepath.Glob(filepath.Join(to, "market=stocks", "ev=[TQ]", "dt=*", "*.parquet"))
	if err != nil {
		log.Fatal(err)
	}
	for _, path := range parts {
		fmt.Println(strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), filepath.ToSlash(to)+"/"))
	}
	// Output:
	// 1 segment, 2 rows
	// 0 segment, 0 rows
	// market=stocks/ev=Q/dt=2026-11-25
	// market=stocks/ev=T/dt=2026-11-25
}
