package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/format"
	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/when"
	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/where"
	"github.com/tickstorm/tickstorm/internal/redact"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sim"
	sinkkafka "github.com/tickstorm/tickstorm/sink/kafka"
)

// cli is the command line: what all verbs take, and the verbs.
type cli struct {
	globals

	Sub        subCmd        `cmd:"" group:"stream" help:"Show a stream."`
	Top        topCmd        `cmd:"" group:"stream" help:"Look at a stream: rates, lag, queue, symbols, and what goes wrong."`
	Relay      relayCmd      `cmd:"" group:"stream" help:"Share one connection among programs."`
	Check      checkCmd      `cmd:"" group:"stream" help:"Check that a stream is alive, for monitoring."`
	Probe      probeCmd      `cmd:"" group:"stream" help:"Find out what a key's plan allows."`
	Record     recordCmd     `cmd:"" group:"stream" help:"Record a stream."`
	Sink       sinkCmd       `cmd:"" group:"engine" help:"Feed an engine from a stream or a recording."`
	Schema     schemaCmd     `cmd:"" group:"engine" help:"Print the columns of all kinds of events, or a database's tables."`
	Consume    consumeCmd    `cmd:"" group:"engine" help:"Show what an engine has."`
	Replay     replayCmd     `cmd:"" group:"recording" help:"Show or serve what was recorded."`
	Info       infoCmd       `cmd:"" group:"recording" help:"Say what is in a recording."`
	Verify     verifyCmd     `cmd:"" group:"recording" help:"Check a recording, byte by byte."`
	Recover    recoverCmd    `cmd:"" group:"recording" help:"Make a whole recording of what is left of a damaged one."`
	Cut        cutCmd        `cmd:"" group:"recording" help:"Make a recording of a part of another."`
	Merge      mergeCmd      `cmd:"" group:"recording" help:"Make one recording of several."`
	Convert    convertCmd    `cmd:"" group:"recording" help:"Convert a recording to JSON lines or CSV."`
	Sim        simCmd        `cmd:"" group:"machine" help:"Run the simulator as a server."`
	Bench      benchCmd      `cmd:"" group:"machine" help:"Measure how fast this machine decodes and streams."`
	Completion completionCmd `cmd:"" group:"machine" help:"Print a shell's completion script."`
	Version    versionCmd    `cmd:"" group:"machine" help:"Print the version."`
}

// groups are the titles of the verbs' groups.
var groups = kong.Groups{
	"stream": "Streams:", "engine": "Past one machine:", "recording": "Recordings:", "machine": "This machine:",
	"source": "Where it comes from:", "serve": "Who it is served to:", "nats": "NATS:", "kafka": "Kafka:", "parquet": "Parquet:", "postgres": "PostgreSQL:", "output": "What is shown:",
}

// globals is what all verbs take.
type globals struct {
	Demo       bool   `help:"Run the simulator behind it: made-up data, no key needed."`
	DemoRate   int    `placeholder:"N" help:"The simulator's events a second; 0 is what suits the verb, -1 as fast as it goes."`
	DemoSeed   int64  `placeholder:"N" default:"1" help:"Which market the simulator makes up."`
	ConfigFile string `name:"config" placeholder:"FILE" help:"File with contexts; default config.json in the folder tickstorm of the user's configurations (TICKSTORM_CONFIG)."`
	Context    string `placeholder:"NAME" help:"Context of that file: market, feed, key file, relay."`
	TZ         string `name:"tz" placeholder:"ZONE" help:"Zone of clocks, such as America/New_York, UTC or Local; default the exchange's."`
	LogFormat  string `enum:"text,json" default:"text" help:"Form of what is logged on stderr: text or json."`
	Verbose    int    `short:"v" type:"counter" help:"Log more; twice for all."`
	Quiet      bool   `short:"q" help:"Log errors only, and show no progress."`
}

// An app is one run of the program.
type app struct {
	*world
	globals
	log     *slog.Logger
	grammar *kong.Kong
	console *console         // is world.stderr
	results *console         // of standard output; the same where both are terminals
	strange tickstorm.Market // was warned of
}

// exiting is what kong's call of Exit panics with.
type exiting int

// run runs a command and returns the code to end the process with. Whatever goes wrong is said on stderr,
// in one line. ctx ends it, with errInterrupted for a cause by Ctrl-C.
func run(ctx context.Context, args []string, w *world) (code int) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(exiting)
			if !ok {
				panic(r)
			}
			code = int(e)
		}
	}()
	said := &console{w: w.stderr}
	defer said.end()
	around := *w
	around.stderr = said
	w = &around
	var c cli
	grammar, err := newGrammar(ctx, &c, w)
	if err != nil {
		return fail(w, err)
	}
	if keyArgument(args) {
		return fail(w, usagef("a key is never an argument, where every user of this machine can see it: put it in MASSIVE_API_KEY, or in a file for --key-file"))
	}
	switch { // as people try it
	case len(args) == 0:
		args = []string{"--help"}
	case args[0] == "help":
		args = append(slices.Clone(args[1:]), "--help")
	case args[0] == "--version":
		args = append([]string{"version"}, args[1:]...)
	}
	parsed, err := grammar.Parse(gathered(grammar.Model.Node, args))
	if write, ok := errors.AsType[*fs.PathError](err); ok && write.Op == "write" { // of a help
		return fail(w, outputError(write))
	}
	if err != nil {
		return fail(w, asUsage(err))
	}
	a := newApp(w, said, c.globals)
	a.grammar = grammar
	err = parsed.Run(a)
	if cause := context.Cause(ctx); err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) && cause != nil {
		err = cause // whatever was interrupted says no more than that
	}
	return fail(w, err)
}

// newApp makes one that says on a console what it has to say.
func newApp(w *world, said *console, g globals) *app {
	around := *w
	around.stderr = said
	a := &app{world: &around, globals: g, log: g.logger(said), console: said, results: said}
	if !w.stdoutTerminal || !w.stderrTerminal {
		a.results = &console{w: w.stdout}
	}
	said.lines.missed = func(lines int) {
		g.logger(said.w).Error("left out here, since nobody read standard error", "lines", lines)
	}
	return a
}

// newGrammar is that of the command line.
func newGrammar(ctx context.Context, c *cli, w *world) (*kong.Kong, error) {
	return kong.New(c,
		kong.Name("tickstorm"),
		kong.Description("Market data of Polygon.io (Massive.com) at a prompt. Try: tickstorm sub --demo T.AAPL"),
		kong.Writers(w.stdout, w.stderr),
		kong.Exit(func(code int) { panic(exiting(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110, NoExpandSubcommands: true}),
		kong.ValueFormatter(helpText),
		kong.WithHyphenPrefixedParameters(true), // --from -10m
		kong.Vars{
			"when": when.Form, "where": where.Form, "names": format.Names, "suffix": record.Suffix,
			"corpora": strings.Join(sim.Corpora(), ", "), "kafka_mechanisms": strings.Join(sinkkafka.Mechanisms(), ","),
		},
		groups,
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
}

// fail says what went wrong, if anything did, and returns the code for it.
func fail(w *world, err error) int {
	code := codeOf(err)
	if code != exitOK && code != exitInterrupted {
		if text := err.Error(); text != "" {
			fmt.Fprintf(w.stderr, "tickstorm: %s\n", oneLine(text))
		}
	}
	return code
}

// oneLine joins the lines of an error: of several that were joined, or of one that lists its causes.
func oneLine(text string) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.ReplaceAll(strings.Join(lines, "; "), ":; ", ": ")
}

// asUsage makes an error of the grammar one of usage; the verb check says by 3 that it does not know.
func asUsage(err error) error {
	text := err.Error()
	if parse, ok := errors.AsType[*kong.ParseError](err); ok && parse.Context != nil {
		if node := parse.Context.Selected(); node != nil {
			text += fmt.Sprintf("; see %s --help", node.FullPath())
			if node.Name == "check" {
				return &exitError{int(unknown), text}
			}
		} else {
			text += "; see tickstorm --help"
		}
	}
	return &usageError{text}
}

// keyArgument reports whether somebody has put a key on the command line, which is not repeated.
func keyArgument(args []string) bool {
	for _, arg := range args {
		name, _, _ := strings.Cut(arg, "=")
		switch {
		case name == "--":
			return false
		case name == "--tls-key": // the name of a file
		case strings.HasPrefix(name, "--") && redact.Named(name):
			return true
		}
	}
	return false
}

// logger writes what happens to w.
func (g *globals) logger(w io.Writer) *slog.Logger {
	level := slog.LevelWarn - slog.Level(4*min(g.Verbose, 2))
	if g.Quiet {
		level = slog.LevelError
	}
	o := &slog.HandlerOptions{Level: level}
	if g.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// zone returns the zone that clocks are read off in; that of an exchange unless the user says another.
func (a *app) zone(exchange string) (*time.Location, error) {
	name := a.TZ
	if name == "" {
		name = exchange
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, usagef("no zone %q: write one like America/New_York, UTC or Local", name)
	}
	return zone, nil
}

// examples are the end of a verb's help: pairs of what one does and its command.
func examples(lines ...string) string {
	var b strings.Builder
	b.WriteString("Examples:\n\n")
	for i := 0; i+1 < len(lines); i += 2 {
		fmt.Fprintf(&b, "    # %s\n    %s\n", lines[i], lines[i+1])
	}
	return b.String()
}
