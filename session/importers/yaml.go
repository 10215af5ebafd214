package importers

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxYAML bounds a YAML file, which is held in memory as a tree: it is a
// configuration, not data.
const maxYAML = 4 << 20

// maxYAMLValues bounds the values of a record after its aliases are followed.
const maxYAMLValues = 100_000

var (
	yamlLine = regexp.MustCompile(`^(\s*(- )*["']?[\w./-]+["']?:(\s.*)?|\s*-(\s.*)?|\s*#.*|---.*|\.\.\.|%.*)$`)
	wandbKey = regexp.MustCompile(`(?m)^(_wandb|wandb_version):`)
)

// sniffYAML believes a file that is called so if its lines look like it, and W&B's
// config.yaml in any case.
func sniffYAML(head []byte) int {
	text := string(trimRune(head))
	if wandbKey.MatchString(text) {
		return 85
	}
	alike, lines := 0, 0
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\r\n"); strings.TrimSpace(line) == "" {
			continue
		}
		lines++
		if yamlLine.MatchString(line) {
			alike++
		}
	}
	if lines == 0 {
		return 0
	}
	return (convincing - 1) * alike / lines
}

// scanYAML reads a mapping as one row, and a list of mappings or several documents
// as rows. Nested mappings are flattened with "/". W&B writes each value as a
// mapping of its own, {desc, value}: the value is taken.
func scanYAML(j *job) error {
	if j.first {
		j.keys = map[string]int{}
	}
	for !j.in.eof {
		if err := j.in.more(1); err != nil {
			return err
		}
		if len(j.in.rest()) > maxYAML {
			return fmt.Errorf("the YAML file is larger than %d MiB", maxYAML>>20)
		}
	}
	r := &jsonRows{job: j}
	decoder := yaml.NewDecoder(strings.NewReader(string(j.in.rest())))
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
		}
		rows := []*yaml.Node{&document}
		if document.Kind == yaml.DocumentNode && len(document.Content) > 0 {
			rows[0] = document.Content[0]
		}
		if root := rows[0]; root.Kind == yaml.SequenceNode && len(root.Content) > 0 && root.Content[0].Kind == yaml.MappingNode {
			rows = root.Content
		}
		for _, row := range rows {
			if row.Kind == yaml.ScalarNode && row.Tag == "!!null" {
				continue
			}
			if row.Kind != yaml.MappingNode {
				return fmt.Errorf("line %d: expected a mapping, key: value", row.Line)
			}
			f := yamlFlattener{}
			if err := f.mapping("", row, 0, isWandbConfig(row)); err != nil {
				return err
			}
			r.line = row.Line
			r.parser.leaves, r.parser.long = f.leaves, f.long
			if err := r.commit(); err != nil {
				return err
			}
		}
	}
	return r.finish()
}

// isWandbConfig recognises the configuration that W&B keeps of a run.
func isWandbConfig(root *yaml.Node) bool {
	values := 0
	for i := 0; i+1 < len(root.Content); i += 2 {
		v := root.Content[i+1]
		switch key := root.Content[i].Value; {
		case key == "wandb_version":
		case v.Kind != yaml.MappingNode || member(v, "value") == nil:
			return false
		default:
			values++
		}
	}
	return values > 0
}

func member(m *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i+1]
		}
	}
	return nil
}

// yamlFlattener turns a tree into leaves as those of a JSON object.
type yamlFlattener struct {
	leaves []leaf
	long   []string
	have   map[string]bool // paths of leaves
	merged int             // within so many merged mappings, which give way
	text   int             // bytes of paths and values so far
	nodes  int             // visited so far
}

func (f *yamlFlattener) mapping(path string, m *yaml.Node, depth int, wandb bool) error {
	var merges []*yaml.Node
	for i := 0; i+1 < len(m.Content); i += 2 {
		key, v := m.Content[i], m.Content[i+1]
		if key.Tag == "!!merge" {
			merges = append(merges, v)
			continue
		}
		if wandb {
			if key.Value == "wandb_version" || key.Value == "_wandb" {
				continue
			}
			v = member(v, "value")
		}
		if err := f.value(strings.TrimPrefix(path+"/"+key.Value, "/"), v, depth+1); err != nil {
			return err
		}
	}
	f.merged++
	defer func() { f.merged-- }()
	for _, v := range merges {
		sources := []*yaml.Node{v}
		if v.Kind == yaml.SequenceNode {
			sources = v.Content
		}
		for _, source := range sources {
			if err := f.value(path, source, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

var errYAMLValues = errors.New("it has more values than a configuration, counted after its aliases are followed")

func (f *yamlFlattener) value(path string, v *yaml.Node, depth int) error {
	if depth > maxJSONDepth {
		return fmt.Errorf("line %d: mappings are nested more than %d deep", v.Line, maxJSONDepth)
	}
	if f.nodes++; f.nodes > maxYAMLValues {
		return errYAMLValues
	}
	switch v.Kind {
	case yaml.AliasNode:
		return f.value(path, v.Alias, depth+1)
	case yaml.MappingNode:
		return f.mapping(path, v, depth, false)
	case yaml.SequenceNode:
		if text, ok := flow(v); ok {
			return f.add(path, text, v.Line)
		}
		f.long = append(f.long, path)
		return nil
	}
	text := v.Value
	if v.Tag == "!!null" {
		text = ""
	}
	return f.add(path, text, v.Line)
}

func (f *yamlFlattener) add(path, text string, line int) error {
	if f.merged > 0 && f.have[path] {
		return nil
	}
	if f.text += len(path) + len(text); f.text > maxYAML {
		return fmt.Errorf("line %d: %w", line, errYAMLValues)
	}
	if f.have == nil {
		f.have = map[string]bool{}
	}
	f.have[path] = true
	f.leaves = append(f.leaves, leaf{[]byte(path), []byte(text)})
	return nil
}

// flow writes a short list of scalars as JSON does.
func flow(v *yaml.Node) (string, bool) {
	items := make([]string, 0, min(len(v.Content), maxList))
	size := 2
	for _, item := range v.Content {
		if item.Kind != yaml.ScalarNode {
			return "", false
		}
		text := item.Value
		if item.Tag == "!!str" {
			text = `"` + text + `"`
		}
		if size += len(text) + 2; size > maxList {
			return "", false
		}
		items = append(items, text)
	}
	return "[" + strings.Join(slices.Clip(items), ", ") + "]", true
}
