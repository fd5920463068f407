// Tables measures Tickstorm beside its rivals and prints what the README has of that, in
// Markdown. Every round has all sides work in turn, so that what slows the machine
// down for a while slows all of them, and what is printed is the median of the rounds.
//
//	go run ./tables          # some minutes
//	go run ./tables -short   # to look at, not to believe
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/tickstorm/tickstorm/bench"
)

func main() {
	bench.SenderMain()
	rounds := flag.Int("rounds", 25, "how many `rounds` to take the median of")
	short := flag.Bool("short", false, "a few rounds only")
	only := flag.String("only", "", "print only the `table` decoders or readers")
	flag.Parse()
	if *short {
		*rounds = 3
	}
	printMachine(*rounds)
	for _, table := range []struct {
		name  string
		print func(rounds int) error
	}{{"decoders", printDecoders}, {"readers", printReaders}} {
		if *only != "" && *only != table.name {
			continue
		}
		if err := table.print(*rounds); err != nil {
			fmt.Fprintf(os.Stderr, "tables: %s: %v\n", table.name, err)
			os.Exit(1)
		}
	}
}

func printMachine(rounds int) {
	fmt.Printf("Measured %s with %s on %s/%s, %s, %d CPUs; medians of %d rounds.\n",
		time.Now().Format(time.DateOnly), runtime.Version(), runtime.GOOS, runtime.GOARCH,
		processor(), runtime.NumCPU(), rounds)
	if rounds < bench.ContestRounds {
		fmt.Printf("Fewer than %d rounds: do not believe it.\n", bench.ContestRounds)
	}
}

// processor returns the name of the processor where Linux tells it.
func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, name, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(name)
		}
	}
	return "unknown processor"
}

// version returns the version of a module that this program was built with, behind a
// blank, and nothing for no module.
func version(module string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok || module == "" {
		return ""
	}
	for _, m := range info.Deps {
		if m.Path == module {
			return " " + m.Version
		}
	}
	return ""
}

// printTable prints a table of which all columns but the first are numbers.
func printTable(head []string, rows [][]string) {
	fmt.Printf("\n| %s |\n|---|%s\n", strings.Join(head, " | "), strings.Repeat("---:|", len(head)-1))
	for _, row := range rows {
		fmt.Printf("| %s |\n", strings.Join(row, " | "))
	}
}

// mallocs returns how many objects the process has allocated.
func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// progress says what is being done, where it does not get into the tables.
func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
