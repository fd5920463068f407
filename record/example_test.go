package record_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/tickstorm/tickstorm/record"
)

// The trades of one symbol, from a moment on.
func ExampleReader() {
	r, err := record.Open("testdata/*.tsr.zst")
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	r.Filter(record.Filter{Channels: []string{"T"}, Symbols: []string{"AAPL"}})
	r.Seek(record.Received, time.Date(2026, 11, 25, 14, 30, 0, 100e6, time.UTC))
	for e, err := range r.All(context.Background()) {
		switch {
		case err != nil:
			log.Fatal(err)
		case e.Damage != nil:
			fmt.Println("damaged:", e.Damage.Reason)
		case e.Control != nil:
			fmt.Println(e.Control.Kind, e.Control.Count)
		default:
			fmt.Printf("%s %s\n", time.Unix(0, e.Received).UTC().Format("15:04:05.000"), e.Raw)
		}
	}
	// Output:
	// 14:30:00.100 [{"ev":"T","sym":"AAPL","p":187.3,"s":100,"t":1795617000095,"q":100}]
	// 14:30:00.110 [{"ev":"T","sym":"AAPL","p":187.3,"s":100,"t":1795617000105,"q":110}]
	// 14:30:00.120 [{"ev":"T","sym":"AAPL","p":187.3,"s":100,"t":1795617000115,"q":120}]
	// dropped 1
}

// A program that goes on where it was: it keeps the cursor behind what it has dealt with.
func ExampleReader_Resume() {
	text := "stocks-20261125T143000.000Z-000007:7:0" // of the run before
	cursor, err := record.ParseCursor(text)
	if err != nil {
		log.Fatal(err)
	}
	r, err := record.Open("testdata")
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	if err := r.Resume(cursor); err != nil {
		log.Fatal(err)
	}
	e, err := r.Next(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(e.Control.Kind, e.After())
	// Output: dropped stocks-20261125T143000.000Z-000007:8:0
}

func ExampleVerify() {
	reports, err := record.Verify(context.Background(), "testdata")
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range reports {
		fmt.Println(r.OK(), r.Frames, r.Messages, r.Elements["T"])
	}
	// Output: true 2 6 12
}

// What a crash has left is made whole.
func ExampleRecover() {
	b, err := os.ReadFile("testdata/stocks-20261125T143000.000Z-000007.tsr.zst")
	if err != nil {
		log.Fatal(err)
	}
	folder, err := os.MkdirTemp("", "recover")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	torn, whole := filepath.Join(folder, "torn.tsr.zst"), filepath.Join(folder, "whole.tsr.zst")
	if err := os.WriteFile(torn, b[:len(b)/2], 0o600); err != nil {
		log.Fatal(err)
	}
	report, err := record.Recover(context.Background(), whole, torn)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Damage[0].Reason, report.Messages)
	// Output: torn 3
}

// The trades of a recording in a file that databases read.
func ExampleCSV() {
	r, err := record.Open("testdata")
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	r.Filter(record.Filter{Symbols: []string{"AAPL"}})
	r.Until(time.Date(2026, 11, 25, 14, 30, 0, 110e6, time.UTC))
	folder, err := os.MkdirTemp("", "csv")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	done, err := record.CSV(context.Background(), folder, r)
	if err != nil {
		log.Fatal(err)
	}
	trades, err := os.ReadFile(filepath.Join(folder, "trades.csv"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(done.Elements, done.Gaps, bytes.Count(trades, []byte("\n")))
	// Output: 4 1 5
}

// A line on a terminal that says how far a long check is.
func ExampleWithProgress() {
	ctx := record.WithProgress(context.Background(), func(p record.Progress) {
		if p.Done == p.Total { // a program shows it each time, no more often than people read
			fmt.Printf("%d of %d bytes\n", p.Done, p.Total)
		}
	})
	if _, err := record.Verify(ctx, "testdata"); err != nil {
		log.Fatal(err)
	}
	// Output: 1253 of 1253 bytes
}
