package main

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Output as go test prints it: a benchmark that ran three times, one of another name, and
// what comes before and after.
const output = `goos: linux
pkg: github.com/tickstorm/tickstorm/bench
BenchmarkSymbols/1000000/uniform-2  	       9	 689.23 MB/s	        75.25 B/symbol	         0 allocs/event	       300 ns/event
BenchmarkSymbols/1000/uniform-2     	       9	1195.27 MB/s	        82.19 B/symbol	         0 allocs/event	        90 ns/event
BenchmarkSymbols/1000/uniform-2     	       9	1195.27 MB/s	        82.19 B/symbol	         0 allocs/event	       900 ns/event
BenchmarkSymbols/1000/uniform-2     	       9	1195.27 MB/s	        82.19 B/symbol	         0 allocs/event	       100.5 ns/event
BenchmarkSymbols/1000/day
BenchmarkSymbols/1000/day         	       9	        80 ns/event
BenchmarkSymbolsRatio/uniform-2    	       9	       148.7 ns/event-large	         1.797 times
PASS
ok  	github.com/tickstorm/tickstorm/bench	27.201s
`

func TestParse(t *testing.T) {
	curves, err := parse("new.txt", strings.NewReader(output))
	require.NoError(t, err)
	require.Equal(t, []curve{
		{distribution: "uniform", points: []point{{1000, 100.5}, {1_000_000, 300}}},
		{distribution: "day", points: []point{{1000, 80}}},
	}, curves, "by size, medians, and a name without the number of processors")
}

func TestParseErrors(t *testing.T) {
	const good = "BenchmarkSymbols/1000/uniform-2 9 88.05 ns/event\n"
	for _, c := range []struct{ name, output, want string }{
		{"nothing", "", "new.txt: no results of BenchmarkSymbols"},
		{"other benchmarks", "BenchmarkParse/stocks1/fast-2 1 88 ns/event\n", "new.txt: no results of BenchmarkSymbols"},
		{"no distribution", good + "BenchmarkSymbols/1000-2 9 88 ns/event\n", `new.txt:2: "BenchmarkSymbols/1000-2" is not BenchmarkSymbols/<symbols>/<distribution>`},
		{"an empty one", "BenchmarkSymbols/1000/-2 9 88 ns/event\n", `new.txt:1: "BenchmarkSymbols/1000/-2" names no distribution`},
		{"no size", "BenchmarkSymbols/many/day-2 9 88 ns/event\n", `new.txt:1: "many" is no number of symbols`},
		{"a size of none", "BenchmarkSymbols/0/day-2 9 88 ns/event\n", `new.txt:1: "0" is no number of symbols`},
		{"no iterations", "BenchmarkSymbols/1000/day-2 nine 88 ns/event\n", `new.txt:1: "nine" is no number of iterations`},
		{"cut off", "BenchmarkSymbols/1000/day-2 9 88\n", "new.txt:1: a value without its unit: the line is cut off"},
		{"another unit", "BenchmarkSymbols/1000/day-2 9 88 ns/op\n", "new.txt:1: no ns/event"},
		{"no number", "BenchmarkSymbols/1000/day-2 9 fast ns/event\n", `new.txt:1: "fast" is no time`},
		{"NaN", "BenchmarkSymbols/1000/day-2 9 NaN ns/event\n", `new.txt:1: "NaN" is no time`},
		{"infinite", "BenchmarkSymbols/1000/day-2 9 +Inf ns/event\n", `new.txt:1: "+Inf" is no time`},
		{"no time at all", "BenchmarkSymbols/1000/day-2 9 0 ns/event\n", `new.txt:1: "0" is no time`},
		{"a benchmark failed", good + "--- FAIL: BenchmarkSymbols/10000/uniform-2\n", "new.txt:2: the run failed: --- FAIL: BenchmarkSymbols/10000/uniform-2"},
		{"the package failed", good + "FAIL\n", "new.txt:2: the run failed: FAIL"},
		{"it panicked", good + "panic: no\n", "new.txt:2: the run failed: panic: no"},
		{"no text", good + strings.Repeat("x", 1<<20), "new.txt:2: bufio.Scanner: token too long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parse("new.txt", strings.NewReader(c.output))
			require.EqualError(t, err, c.want)
		})
	}
}

// picture is what the tests look at in an SVG.
type picture struct {
	Title string `xml:"title"`
	Desc  string `xml:"desc"`
	Lines []struct {
		Class  string `xml:"class,attr"`
		Points string `xml:"points,attr"`
	} `xml:"polyline"`
	Circles []struct{} `xml:"circle"`
	Rects   []struct{} `xml:"rect"`
	Texts   []struct {
		Class string  `xml:"class,attr"`
		Y     float64 `xml:"y,attr"`
		Text  string  `xml:",chardata"`
	} `xml:"text"`
}

func look(t *testing.T, svg []byte) (p picture) {
	t.Helper()
	require.NoError(t, xml.Unmarshal(svg, &p))
	return p
}

// labels returns the texts at the curves' ends, from the lowest up, and their places.
func (p picture) labels() (texts []string, places []float64) {
	for _, text := range p.Texts {
		if strings.HasPrefix(text.Class, "f") {
			texts, places = append(texts, text.Text), append(places, text.Y)
		}
	}
	return texts, places
}

func TestRun(t *testing.T) {
	old := filepath.Join(t.TempDir(), "old.txt")
	require.NoError(t, os.WriteFile(old, []byte("BenchmarkSymbols/1000/uniform-2 9 110 ns/event\nBenchmarkSymbols/1000000/uniform-2 9 690 ns/event\n"), 0o600))
	var svg strings.Builder
	require.NoError(t, run([]string{"-old", old}, strings.NewReader(output), &svg, io.Discard))
	p := look(t, []byte(svg.String()))
	require.Equal(t, "Time per event over the number of symbols", p.Title)
	require.Equal(t, "uniform: 1000 symbols 100 ns; 1000000 symbols 300 ns.\nday: 1000 symbols 80 ns.\n"+
		"uniform before: 1000 symbols 110 ns; 1000000 symbols 690 ns.\n", p.Desc)
	require.Len(t, p.Lines, 3)
	require.Equal(t, "curve c0", p.Lines[0].Class)
	require.Equal(t, "curve c1", p.Lines[1].Class)
	require.Equal(t, "curve c0 old", p.Lines[2].Class, "the same colour, dashed")
	require.Len(t, p.Circles, 4, "the marker of both uniform curves")
	require.Len(t, p.Rects, 1, "and that of day")
	labels, _ := p.labels()
	require.Equal(t, []string{"day 80", "uniform 300", "uniform before 690"}, labels)
	require.Contains(t, svg.String(), "prefers-color-scheme: dark")
	require.Contains(t, svg.String(), "Nanoseconds per event, by number of symbols (dashed: before)")

	var again strings.Builder
	require.NoError(t, run([]string{"-old", old}, strings.NewReader(output), &again, io.Discard))
	require.Equal(t, svg.String(), again.String())

	svg.Reset()
	require.NoError(t, run(nil, strings.NewReader(output), &svg, io.Discard))
	require.NotContains(t, svg.String(), "before")
}

func TestRunErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"an argument", []string{"new.txt"}, `unexpected argument "new.txt"`},
		{"no file", []string{"-new", ""}, "-new names no file"},
		{"stdin twice", []string{"-old", "-"}, "-new and -old cannot both be stdin"},
		{"a flag that there is not", []string{"-newer", "x"}, "flag provided but not defined: -newer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			err := run(c.args, strings.NewReader(output), &out, io.Discard)
			require.EqualError(t, err, c.want)
			require.ErrorAs(t, err, new(usageError))
			require.Empty(t, out.String())
		})
	}
	var out strings.Builder
	require.ErrorIs(t, run([]string{"-h"}, nil, &out, io.Discard), flag.ErrHelp)
	missing := filepath.Join(t.TempDir(), "missing")
	require.ErrorIs(t, run([]string{"-new", missing}, nil, &out, io.Discard), os.ErrNotExist)
	require.ErrorIs(t, run([]string{"-old", missing}, strings.NewReader(output), &out, io.Discard), os.ErrNotExist)
	require.ErrorContains(t, run(nil, strings.NewReader(""), &out, io.Discard), "stdin: no results")
	require.Empty(t, out.String(), "no half of a picture")
	require.ErrorIs(t, run(nil, strings.NewReader(output), broken{}, io.Discard), errBroken)
}

var errBroken = errors.New("broken pipe")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestDraw(t *testing.T) {
	t.Run("curves that end at one place", func(t *testing.T) {
		for _, ns := range []float64{1, 100, 499, 500} { // at the foot and at the head
			curves := []curve{{distribution: "scale", points: []point{{1000, 500}}}}
			for i := range 3 {
				name := strconv.Itoa(i)
				curves = append(curves,
					curve{distribution: name, points: []point{{1000, ns}}},
					curve{distribution: name, old: true, points: []point{{1000, ns}}})
			}
			svg, err := draw(curves)
			require.NoError(t, err)
			texts, places := look(t, svg).labels()
			require.Len(t, texts, 7)
			for i, y := range places {
				require.GreaterOrEqual(t, y, float64(top))
				require.Less(t, y, float64(height))
				if i > 0 {
					require.GreaterOrEqual(t, places[i-1]-y, float64(labelGap))
				}
			}
		}
	})
	t.Run("places", func(t *testing.T) {
		svg, err := draw([]curve{{distribution: "day", points: []point{{1000, 100}, {10_000, 50}, {100_000, 200}}}})
		require.NoError(t, err)
		require.Equal(t, "60.0,200.0 335.0,275.0 610.0,50.0", look(t, svg).Lines[0].Points,
			"sizes by their logarithm, times from zero")
	})
	t.Run("a name with what XML has for itself", func(t *testing.T) {
		svg, err := draw([]curve{{distribution: `<&"`, points: []point{{1000, 100}}}})
		require.NoError(t, err)
		labels, _ := look(t, svg).labels()
		require.Equal(t, []string{`<&" 100`}, labels)
	})
	t.Run("more than can be told apart", func(t *testing.T) {
		var curves []curve
		for i := range len(markers) + 1 {
			curves = append(curves, curve{distribution: strconv.Itoa(i), points: []point{{1, 1}}})
		}
		_, err := draw(curves)
		require.ErrorContains(t, err, "5 distributions, of which 4 can be told apart")
	})
}
