package sink_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sink"
)

// printing is an engine: it takes each batch at once, and knows of nothing that it would never take.
type printing struct{}

func (printing) Write(_ context.Context, b *sink.Batch) error {
	for i := range b.Rows {
		if r := &b.Rows[i]; r.Notice == nil {
			fmt.Printf("%s %s %s\n", r.Channel, r.Symbol, r.Raw)
		} else if r.Notice.Missing() {
			fmt.Printf("missing: %s\n", r.Notice.Cause)
		}
	}
	return nil
}

// A runner goes on where the engine had confirmed: the second prints nothing.
func ExampleRunner() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	rec, err := record.NewRecorder(record.Config{Dir: dir, Market: tickstorm.Stocks, MinFree: -1})
	if err != nil {
		log.Fatal(err)
	}
	if err := rec.Start(); err != nil { // as a client's Tap it would be told all this
		log.Fatal(err)
	}
	rec.OnMessage([]byte(`[{"ev":"T","sym":"AAPL","p":210.5},{"ev":"T","sym":"MSFT","p":99}]`), time.Now().UnixNano())
	if err := rec.Close(context.Background()); err != nil {
		log.Fatal(err)
	}
	for range 2 {
		folder := sink.NewFolder(sink.FolderConfig{Paths: []string{dir}, Cursor: filepath.Join(dir, "cursor")})
		runner, err := sink.NewRunner(printing{}, folder, sink.Config{})
		if err != nil {
			log.Fatal(err)
		}
		if err := runner.Run(context.Background()); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// T AAPL {"ev":"T","sym":"AAPL","p":210.5}
	// T MSFT {"ev":"T","sym":"MSFT","p":99}
}
