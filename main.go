// Etastar answers which learning rate a pre-training run should use: a notebook
// in the terminal that fits learning-rate sweeps and predicts η* for a target size.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/etastar/etastar/session"
	commands "github.com/etastar/etastar/session/command"
	"github.com/etastar/etastar/session/example"
	"github.com/etastar/etastar/session/export"
	"github.com/etastar/etastar/session/headless"
	"github.com/etastar/etastar/trainer"
	"github.com/etastar/etastar/trainer/bench"
	"github.com/etastar/etastar/trainer/rundir"
	"github.com/etastar/etastar/tui"
)

const long = `etastar (η*) answers one question: which learning rate should this pre-training
run use? A notebook in the terminal loads a learning-rate sweep, fits the loss
against ln η for every size and horizon, fits a law η*(N, D) through the optima,
and predicts η* for the target, with its interval and what a wrong choice costs.

  etastar                    open the example: it shows what to press
  etastar sweep.md           open a notebook, or start one
  etastar run sweep.md       the same without a screen
  etastar help predict       a verb of the language; also: help language

A notebook is a Markdown file; its cells are fenced blocks tagged eta:

  runs   = load "sweep.csv" loss="val loss"
  curves = curves runs by=N,D form=quadratic window=2 batch=tuned
  law    = law curves form=power
  target = predict law N=7B D=1.4T

Training runs are folders, ./runs unless a sweep says otherwise:

  etastar runs               list them; also: runs pause, resume, stop, start, export

Exit codes of run, check, export and runs: 0 well, 1 a cell failed, 2 usage or a
statement that does not parse, 3 a file that cannot be read or written, 4 an
expectation was not met.`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := 0
	err := command(&code).ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "etastar: %v\n", err)
		code = headless.Usage
	}
	os.Exit(code)
}

func command(code *int) *cobra.Command {
	var theme string
	root := &cobra.Command{
		Use:           "etastar [notebook.md]",
		Short:         "Which learning rate should this pre-training run use?",
		Long:          long,
		Args:          cobra.MaximumNArgs(1),
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			*code = open(cmd.Context(), args, theme)
			return nil
		},
		ValidArgsFunction: notebooks,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.PersistentFlags().StringVar(&theme, "theme", "auto", "colours: auto, dark, light or none")
	root.AddCommand(exampleCommand(code, &theme), runCommand(code), checkCommand(code), exportCommand(code), runsCommand(code), doctorCommand(), benchCommand(code), workerCommand())
	root.SetHelpCommand(helpCommand(root))
	return root
}

func open(ctx context.Context, args []string, theme string) int {
	if len(args) == 0 {
		return openExample(ctx, example.First, theme)
	}
	path := args[0]
	if _, serr := os.Stat(path); serr != nil && filepath.Ext(path) != ".md" {
		fmt.Fprintf(os.Stderr, "etastar: there is no command and no notebook %q; a new notebook's name ends in .md, the commands are run, check, export, runs, example, doctor, bench and help\n", path)
		return headless.Usage
	}
	return show(ctx, path, session.Options{Interactive: true}, theme)
}

func openExample(ctx context.Context, name, theme string) int {
	path, err := example.Install(filepath.Join(session.StateDir(), "example"), name)
	if err != nil {
		return failed(err)
	}
	return show(ctx, path, session.Options{Interactive: true, Example: true}, theme)
}

func show(ctx context.Context, path string, o session.Options, theme string) int {
	s, err := session.Open(path, o)
	if err == nil {
		err = tui.Run(ctx, s, tui.Options{Theme: theme})
	}
	if err != nil {
		return failed(err)
	}
	return headless.OK
}

func failed(err error) int {
	fmt.Fprintf(os.Stderr, "etastar: %v\n", err)
	return headless.Environment
}

func exampleCommand(code *int, theme *string) *cobra.Command {
	return &cobra.Command{
		Use:       "example [" + strings.Join(example.Names(), "|") + "]",
		Short:     "Open a built-in example",
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: example.Names(),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := example.First
			if len(args) > 0 {
				name = args[0]
			}
			*code = openExample(cmd.Context(), name, *theme)
			return nil
		},
	}
}

func runCommand(code *int) *cobra.Command {
	r := headless.Run{Out: os.Stdout, Err: os.Stderr}
	cmd := &cobra.Command{
		Use:               "run notebook.md",
		Short:             "Run a notebook without a screen and print what it found",
		Example:           "  etastar run sweep.md\n  etastar run sweep.md --json | jq .values.target.lr",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: notebooks,
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Path = args[0]
			*code = r.Do(cmd.Context())
			return nil
		},
	}
	cmd.Flags().BoolVar(&r.JSON, "json", false, "print one JSON object: {values, errors}")
	cmd.Flags().BoolVar(&r.Start, "start", false, "train the notebook's sweeps and wait for them; without, what is there is shown")
	cmd.Flags().DurationVar(&r.Timeout, "timeout", 0, "give up after this long (10m); 0: never")
	return cmd
}

func checkCommand(code *int) *cobra.Command {
	return &cobra.Command{
		Use:               "check notebook.md",
		Short:             "Parse a notebook and check its names and parameters without running it",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: notebooks,
		RunE: func(cmd *cobra.Command, args []string) error {
			*code = headless.Check{Path: args[0], Out: os.Stdout, Err: os.Stderr}.Do(cmd.Context())
			return nil
		},
	}
}

func exportCommand(code *int) *cobra.Command {
	e := headless.Export{Out: os.Stdout, Err: os.Stderr}
	formats := map[string]*bool{}
	cmd := &cobra.Command{
		Use:   "export notebook.md --html|--md|--csv|--parquet|--json|--snippet trainer",
		Short: "Write a notebook with its results as a page, Markdown, CSV, Parquet or JSON, or what it found as a trainer's configuration",
		Example: "  etastar export sweep.md --html -o sweep.html\n" +
			"  etastar export sweep.md --csv --value curves > curves.csv\n" +
			"  etastar export sweep.md --parquet --value runs -o runs.parquet\n" +
			"  etastar export sweep.md --snippet megatron --value target",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: notebooks,
		RunE: func(cmd *cobra.Command, args []string) error {
			e.Path = args[0]
			for name, chosen := range formats {
				if *chosen {
					e.Format = name
				}
			}
			if e.Trainer != "" {
				e.Format = "snippet"
			}
			*code = e.Do(cmd.Context())
			return nil
		},
	}
	cmd.Flags().StringVar(&e.Trainer, "snippet", "", "a prediction or a transfer for a trainer: "+strings.Join(export.Trainers(), ", "))
	for name, doc := range map[string]string{
		"html": "one self-contained page", "md": "the notebook with its results", "csv": "one value as a table", "parquet": "one value as a table", "json": "the object of run --json; with --value the rows of that value",
	} {
		formats[name] = cmd.Flags().Bool(name, false, doc)
	}
	kinds := []string{"html", "md", "csv", "parquet", "json", "snippet"}
	cmd.MarkFlagsOneRequired(kinds...)
	cmd.MarkFlagsMutuallyExclusive(kinds...)
	cmd.Flags().StringVar(&e.Value, "value", "", "which value to write (--csv, --parquet, --json, --snippet)")
	cmd.Flags().StringVarP(&e.Output, "output", "o", "", "file to write; standard output without")
	cmd.Flags().DurationVar(&e.Timeout, "timeout", 10*time.Minute, "give up after this long")
	return cmd
}

// runsCommand lists training runs and steers them.
func runsCommand(code *int) *cobra.Command {
	l := headless.Runs{Root: "runs", Out: os.Stdout, Err: os.Stderr}
	cmd := &cobra.Command{
		Use:   "runs [folder]",
		Short: "List the training runs of a folder, ./runs without one; pause, resume, stop or start them",
		Example: "  etastar runs\n  etastar runs --json | jq '.[] | select(.state == \"failed\") | .reason'\n" +
			"  etastar runs pause runs/proxies",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: folders,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				l.Root = args[0]
			}
			*code = l.Do(cmd.Context())
			return nil
		},
	}
	cmd.Flags().BoolVar(&l.JSON, "json", false, "print a JSON array, an object for each run")
	for _, ask := range []struct {
		request rundir.Request
		short   string
	}{
		{rundir.Pause, "Ask every run in the folders that trains to pause"},
		{rundir.Resume, "Ask every paused run in the folders to go on"},
		{rundir.Stop, "Ask every run in the folders that trains or is paused to stop; start takes it up again"},
	} {
		cmd.AddCommand(&cobra.Command{
			Use:               string(ask.request) + " folder…",
			Short:             ask.short,
			Args:              cobra.MinimumNArgs(1),
			ValidArgsFunction: folders,
			RunE: func(cmd *cobra.Command, args []string) error {
				*code = headless.AskRuns{Dirs: args, Request: ask.request, Out: os.Stdout, Err: os.Stderr}.Do(cmd.Context())
				return nil
			},
		})
	}
	start := headless.StartRuns{Out: os.Stdout, Err: os.Stderr}
	startCmd := &cobra.Command{
		Use:               "start folder",
		Short:             "Train what was stopped, failed, was interrupted or never began, in the background",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: folders,
		RunE: func(cmd *cobra.Command, args []string) error {
			start.Dir = args[0]
			*code = start.Do(cmd.Context())
			return nil
		},
	}
	startCmd.Flags().StringVar(&start.Device, "device", trainer.Auto, "what to train on: auto, cpu, gpu, or gpu:1 for the second GPU")
	cmd.AddCommand(startCmd, exportRunCommand(code))
	return cmd
}

// exportRunCommand writes a checkpoint for other programs.
func exportRunCommand(code *int) *cobra.Command {
	e := headless.ExportCheckpoint{Program: version(), Out: os.Stdout, Err: os.Stderr}
	cmd := &cobra.Command{
		Use:               "export run -o folder",
		Short:             "Write a checkpoint of a run as a Hugging Face model directory (Qwen3, Qwen3-MoE)",
		Example:           "  etastar runs export runs/proxies/d128L4-lr3e-3-5f0c9a1b22 -o d128L4",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: folders,
		RunE: func(cmd *cobra.Command, args []string) error {
			e.Run = args[0]
			*code = e.Do(cmd.Context())
			return nil
		},
	}
	cmd.Flags().StringVarP(&e.Output, "output", "o", "", "folder to write; its parent must be there")
	cmd.Flags().Int64Var(&e.Step, "step", headless.LastStep, "step of the checkpoint; -1: the last one")
	cmd.Flags().StringVar(&e.DType, "dtype", "bfloat16", "how weights are stored: bfloat16 or float32")
	cmd.Flags().BoolVar(&e.Force, "force", false, "replace an earlier export")
	return cmd
}

func doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine has to train on, what is missing and where it was looked for",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			headless.Doctor(cmd.OutOrStdout(), trainer.Look())
		},
	}
}

func benchCommand(code *int) *cobra.Command {
	b := headless.Bench{Out: os.Stdout, Err: os.Stderr}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure how fast this machine trains, beside PyTorch on the same card",
		Long: "Measure how fast this machine trains proxies of several shapes, runs of one shape\n" +
			"together, and beside it PyTorch on the same card.\n\nThe shapes: " + strings.Join(bench.Names(), ", "),
		Example: "  etastar bench\n  etastar bench --shapes d128,d256 --runs 1,8 --peer ~/torch/bin/python",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			*code = b.Do(cmd.Context())
			return nil
		},
	}
	cmd.Flags().StringVar(&b.Options.Device, "device", trainer.Auto, "what to measure: auto, cpu, gpu, or gpu:1 for the second GPU")
	cmd.Flags().StringVar(&b.Options.Shapes, "shapes", "", "shapes, separated by commas; without, those that suit the device")
	cmd.Flags().StringVar(&b.Options.Runs, "runs", "", "how many runs train together: 1,4,8; without, what suits the shape")
	cmd.Flags().StringVar(&b.Options.Peer, "peer", bench.Auto, "PyTorch: auto, off, or the Python that has it")
	cmd.Flags().IntVar(&b.Options.Steps, "steps", 0, "steps to time; 0: 20, on a processor 5")
	cmd.Flags().StringVar(&b.Options.Modes, "modes", "", "modes of PyTorch: eager, compile, graphs; without, all of them")
	cmd.Flags().DurationVar(&b.Options.Budget, "budget", 0, "how long PyTorch may take for one mode, compiling included; 0: 3m")
	cmd.Flags().BoolVar(&b.JSON, "json", false, "print a line of JSON for every row")
	return cmd
}

// workerCommand trains runs in the background; session starts it.
func workerCommand() *cobra.Command {
	var detach, measure bool
	var device string
	var share int
	cmd := &cobra.Command{
		Use:    "worker folder",
		Short:  "Train the runs in a folder",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if measure {
				return trainer.ServeMeasure(os.Stdin, os.Stdout, device)
			}
			if !detach && commands.Here(args[0]) {
				r := &commands.Runner{GPUs: trainer.GPUs(), Say: func(format string, args ...any) {
					fmt.Printf("%s "+format+"\n", append([]any{time.Now().Format(time.DateTime)}, args...)...)
				}}
				return r.Work(cmd.Context(), args[0])
			}
			if !detach {
				return trainer.Work(cmd.Context(), args[0], device, share, session.TurnDir())
			}
			exe, err := os.Executable()
			if err != nil {
				return err
			}
			return trainer.Detach(exe, []string{"worker", "--device", device, "--share", strconv.Itoa(share), args[0]}, args[0])
		},
	}
	cmd.Flags().StringVar(&device, "device", trainer.Auto, "what to train on")
	cmd.Flags().IntVar(&share, "share", 1, "how many workers share the runs")
	cmd.Flags().BoolVar(&measure, "measure", false, "time steps of the shapes on standard input")
	cmd.Flags().BoolVar(&detach, "detach", false, "start the worker in a session of its own and return")
	return cmd
}

// helpCommand knows the commands and the language.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [command or topic]",
		Short: "Help on a command, a verb (predict), a parameter (curves.window) or the language",
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			topics := []string{"language", "verbs", "run", "check", "export", "runs", "example", "doctor", "bench"}
			for _, v := range session.Verbs() {
				topics = append(topics, v.Name)
			}
			return topics, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return root.Help()
			}
			if sub, _, err := root.Find(args); err == nil && sub != root {
				return sub.Help()
			}
			text, _, ok := session.Help(strings.Join(args, "."))
			if !ok {
				return fmt.Errorf("%s", text)
			}
			fmt.Fprint(cmd.OutOrStdout(), session.Wrap(text+"\n", 80))
			return nil
		},
	}
}

// notebooks completes the names of Markdown files.
func notebooks(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"md"}, cobra.ShellCompDirectiveFilterFileExt
}

// folders completes the names of folders.
func folders(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// version names the build, the Go it was built with and the platform.
func version() string {
	v, revision := "(devel)", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		v = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = " " + s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return fmt.Sprintf("etastar %s%s, %s, %s/%s", v, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
