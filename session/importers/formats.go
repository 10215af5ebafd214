package importers

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etastar/etastar/session/nearest"
)

// format is one kind of file.
type format struct {
	name       string
	extensions []string
	// sniff says how much the head of a file looks like this format, from 0 (not
	// at all) to 100 (nothing else).
	sniff func(head []byte) int
	// scan feeds the file's rows into the job's columns.
	scan func(*job) error
}

// convincing is the score below which a format is believed only of a file that
// is called so.
const convincing = 25

// formats are all formats, the more particular first.
var formats = []format{
	{"tensorboard", nil, sniffEvents, scanEvents},
	{"wandb_log", []string{".wandb"}, sniffWandbLog, scanWandbLog},
	{"parquet", []string{".parquet"}, sniffParquet, scanParquet},
	{"sqlite", []string{".db", ".sqlite", ".sqlite3"}, sniffSQLite, scanSQLite},
	{"trainer_state", nil, sniffTrainerState, scanTrainerState},
	{"megatron", nil, megatronLog.sniff, megatronLog.scan},
	{"nanogpt", nil, nanoGPTLog.sniff, nanoGPTLog.scan},
	{"llmc", nil, sniffLLMC, llmcLog.scan},
	{"modded-nanogpt", nil, moddedLog.sniff, moddedLog.scan},
	{"jsonl", []string{".jsonl", ".ndjson", ".json"}, sniffJSON, scanJSON},
	{"raytune", nil, sniffRayJSON, scanRayJSON},
	{"raytune_csv", nil, sniffRayCSV, scanRayCSV},
	{"opencompass", nil, sniffOpenCompass, scanOpenCompass},
	{"optuna", nil, sniffOptuna, scanOptuna},
	{"wandb_chart", nil, sniffWandbChart, scanWandbChart},
	{"algoperf", nil, sniffAlgoPerf, scanAlgoPerf},
	{"wandb_history", nil, sniffWandbHistory, scanWandbHistory},
	{"wandb_runs", nil, sniffWandbRuns, scanWandbRuns},
	{"yaml", []string{".yaml", ".yml"}, sniffYAML, scanYAML},
	{"markdown", []string{".md", ".markdown"}, sniffMarkdown, scanMarkdown},
	{"tsv", []string{".tsv", ".tab"}, sniffTSV, scanTSV},
	{"csv", []string{".csv"}, sniffCSV, scanCSV},
}

// ofJSON are the formats that are JSON: of a file of records only these are asked,
// because looking at all of a thousand files for all formats takes its time.
var ofJSON = []string{"jsonl", "raytune", "trainer_state"}

// Formats returns the names that Options.Format takes.
func Formats() []string {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = f.name
	}
	return names
}

// choose finds the format of a file by its first bytes; its name breaks ties.
func choose(head []byte, path, asked string) (format, error) {
	if asked != "" {
		for _, f := range formats {
			if f.name == strings.ToLower(asked) || slices.Contains(f.extensions, "."+strings.ToLower(asked)) {
				return f, nil
			}
		}
		hint := ""
		if near := nearest.Word(asked, Formats()); near != "" {
			hint = "; did you mean " + near + "?"
		}
		return format{}, fmt.Errorf("there is no format %q%s (formats: %s)", asked, hint, strings.Join(Formats(), ", "))
	}
	ext := strings.ToLower(filepath.Ext(strings.TrimSuffix(path, ".gz")))
	best, bestScore := format{}, 0
	records := isJSONLines(head)
	for _, f := range formats {
		if records && !slices.Contains(ofJSON, f.name) {
			continue
		}
		score := f.sniff(head)
		named := slices.Contains(f.extensions, ext) || f.name == "tensorboard" && calledEvents(path)
		switch {
		case score < convincing && !named:
			continue
		case named && f.name == "markdown":
			// Its table may come after much prose.
			score = max(score, convincing)
		case named:
			score = max(score, 1)
		}
		if score *= 2; named {
			score++
		}
		if score > bestScore {
			best, bestScore = f, score
		}
	}
	if bestScore == 0 {
		return format{}, fmt.Errorf("no table is found in it; formats: %s; say format=csv to insist", strings.Join(Formats(), ", "))
	}
	return best, nil
}
