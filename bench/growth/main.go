// Growth draws what a market's size costs: it reads what BenchmarkSymbols of package bench
// printed and writes an SVG to stdout, time per event over the number of symbols, a
// curve for each distribution.
//
//	go test ./bench -run '^$' -bench '^BenchmarkSymbols$' -count 9 >new.txt
//	go run ./bench/growth -new new.txt >growth.svg
//	go run ./bench/growth -new new.txt -old old.txt >growth.svg   # older figures, dashed
//
// Without -new it reads stdin. Of a benchmark that was run several times, it takes the median.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

// stdin is the name of a file that stands for the standard input.
const stdin = "-"

func main() {
	err := run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.As(err, new(usageError)):
		fmt.Fprintf(os.Stderr, "growth: %v\n", err)
		os.Exit(2)
	case err != nil:
		fmt.Fprintf(os.Stderr, "growth: %v\n", err)
		os.Exit(1)
	}
}

// usageError is about the command line.
type usageError struct{ error }

// run writes nothing to out unless it can write a whole picture.
func run(args []string, in io.Reader, out, messages io.Writer) error {
	flags := flag.NewFlagSet("growth", flag.ContinueOnError)
	flags.SetOutput(messages)
	recent := flags.String("new", stdin, "`file` of benchmark output; - is stdin")
	old := flags.String("old", "", "`file` of older benchmark output, drawn dashed; - is stdin")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return usageError{err}
	}
	switch {
	case flags.NArg() > 0:
		return usageError{fmt.Errorf("unexpected argument %q", flags.Arg(0))}
	case *recent == "":
		return usageError{errors.New("-new names no file")}
	case *recent == stdin && *old == stdin:
		return usageError{errors.New("-new and -old cannot both be stdin")}
	}
	curves, err := read(*recent, in)
	if err != nil {
		return err
	}
	if *old != "" {
		older, err := read(*old, in)
		if err != nil {
			return err
		}
		for _, c := range older {
			c.old = true
			curves = append(curves, c)
		}
	}
	picture, err := draw(curves)
	if err != nil {
		return err
	}
	_, err = out.Write(picture)
	return err
}

func read(name string, in io.Reader) ([]curve, error) {
	if name == stdin {
		return parse("stdin", in)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return parse(name, file)
}
