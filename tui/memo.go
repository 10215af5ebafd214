package tui

import (
	"strings"

	"github.com/etastar/etastar/session"
)

// memo keeps the last drawing of each part of the screen beside what it was
// drawn from, so that a frame draws only what changed.
type memo struct {
	slots map[string]slot
	hits  int
	draws int
}

type slot struct {
	key   any
	lines []string
	extra any
}

// get returns the lines kept under name if they were drawn from key, else
// draws and keeps them. key must be comparable.
func (c *memo) get(name string, key any, draw func() []string) []string {
	lines, _ := c.getWith(name, key, func() ([]string, any) { return draw(), nil })
	return lines
}

// getWith is get for drawings that come with something else (click targets).
func (c *memo) getWith(name string, key any, draw func() ([]string, any)) ([]string, any) {
	if c.slots == nil {
		c.slots = map[string]slot{}
	}
	if s, ok := c.slots[name]; ok && s.key == key {
		c.hits++
		return s.lines, s.extra
	}
	c.draws++
	lines, extra := draw()
	c.slots[name] = slot{key, lines, extra}
	return lines, extra
}

// forget drops everything, when the theme changes or the notebook is replaced.
func (c *memo) forget() { c.slots = nil }

// identity is a comparable stand-in for a value: the pointer it holds. Values
// are immutable, so the same pointer is the same picture.
func identity(v session.Value) any {
	switch v := v.(type) {
	case nil:
		return nil
	case session.Table:
		return v.Table
	case session.Sweep:
		return v.Table // made afresh whenever a run moved
	case session.View:
		return [2]any{v.Table, strings.Join(v.Columns, "\x00")}
	case session.Curves:
		return v.CurveSet
	case session.Law:
		return v.Law
	case session.Published:
		return [2]any{v.Published, v.Anchor}
	case session.Prediction:
		return v.Prediction
	case session.Comparison:
		return v.Comparison
	case session.Picture:
		return [4]any{identity(v.Of), v.Target, v.File, v.Format}
	case session.Sheeted:
		return v.Identity()
	case session.Note:
		return v
	case session.Expectation:
		return v.Text + "\x00" + v.Said
	}
	return v.Type()
}
