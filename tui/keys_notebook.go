package tui

import (
	tea "charm.land/bubbletea/v2"
)

// focusKeys walk the notebook.
func focusKeys() []binding {
	return []binding{
		{keys: []string{"up", "k"}, at: inFlow, what: "the statement or prose above", do: func(m *Model) tea.Cmd { return m.walk(-1) }},
		{keys: []string{"down", "j"}, at: inFlow, what: "the statement or prose below", hint: "↑↓ cells", keep: 3, do: func(m *Model) tea.Cmd { return m.walk(1) }},
		{keys: []string{"up", "k"}, at: inRows, what: "a row up", do: func(m *Model) tea.Cmd { return m.scrollRows(-1) }},
		{keys: []string{"down", "j"}, at: inRows, what: "a row down", hint: "↑↓ rows", keep: 6, do: func(m *Model) tea.Cmd { return m.scrollRows(1) }},
		{keys: []string{"g"}, at: inNotebook, what: "the first statement", do: func(m *Model) tea.Cmd { return m.moveFocus(-len(m.items)) }},
		{keys: []string{"G"}, at: inNotebook, what: "the last statement", do: func(m *Model) tea.Cmd { return m.moveFocus(len(m.items)) }},
		{keys: []string{"pgdown", "ctrl+f"}, at: inNotebook, what: "a page on: rows of a table, else the notebook", do: func(m *Model) tea.Cmd { return m.page(1) }},
		{keys: []string{"pgup", "ctrl+b"}, at: inNotebook, what: "a page back", do: func(m *Model) tea.Cmd { return m.page(-1) }},
		{keys: []string{"/"}, at: inNotebook, what: "search the notebook", do: func(m *Model) tea.Cmd { return m.startSearch() }},
		{keys: []string{"n"}, at: inNotebook, what: "the next place found", off: noSearch, do: func(m *Model) tea.Cmd { return m.find.step(m, 1) }},
		{keys: []string{"N"}, at: inNotebook, what: "the place found before", off: noSearch, do: func(m *Model) tea.Cmd { return m.find.step(m, -1) }},
	}
}

// knobKeys turn knobs.
func knobKeys() []binding {
	return []binding{
		{keys: []string{"right", "l"}, at: onKnobs, what: "turn the selected knob on", off: knobStuck, do: func(m *Model) tea.Cmd { return m.turn(1, false) }},
		{keys: []string{"left", "h"}, at: onKnobs, what: "turn the selected knob back", hint: "←→ knob", keep: 8, off: knobStuck, do: func(m *Model) tea.Cmd { return m.turn(-1, false) }},
		{keys: []string{"shift+right", "L"}, at: onKnobs, what: "turn it on in large steps", off: knobStuck, do: func(m *Model) tea.Cmd { return m.turn(1, true) }},
		{keys: []string{"shift+left", "H"}, at: onKnobs, what: "turn it back in large steps", off: knobStuck, do: func(m *Model) tea.Cmd { return m.turn(-1, true) }},
		{keys: []string{"tab"}, at: onKnobs, what: "select the next knob", hint: "Tab next knob", keep: 6, do: func(m *Model) tea.Cmd { return m.selectKnob(1) }},
		{keys: []string{"shift+tab"}, at: onKnobs, what: "select the knob before", do: func(m *Model) tea.Cmd { return m.selectKnob(-1) }},
		{keys: []string{"space"}, at: onKnobs, what: "switch it: free or pinned, on or off", hint: "Space pin", keep: 2, off: knobNoToggle, do: func(m *Model) tea.Cmd { return m.toggleKnob() }},
		{keys: []string{"backspace"}, at: onKnobs, what: "back to its default", off: knobDefault, do: func(m *Model) tea.Cmd { return m.resetKnob() }},
	}
}

// valueKeys look at the focused value.
func valueKeys() []binding {
	return []binding{
		{keys: []string{"]"}, at: onCurves, what: "the next curve", do: func(m *Model) tea.Cmd { return m.stepCurve(1) }},
		{keys: []string{"["}, at: onCurves, what: "the curve before", hint: "[ ] curve", keep: 4, do: func(m *Model) tea.Cmd { return m.stepCurve(-1) }},
		{keys: []string{"."}, at: onCurves, what: "the next point of the curve", do: func(m *Model) tea.Cmd { return m.stepPoint(1) }},
		{keys: []string{","}, at: onCurves, what: "the point before", do: func(m *Model) tea.Cmd { return m.stepPoint(-1) }},
		{keys: []string{"x"}, at: onCurves, what: "take the point under the cursor out of the fit, or put it back", off: noPoint, do: func(m *Model) tea.Cmd { return m.toggleExclude() }},
		{keys: []string{"s"}, at: onTable, what: "sort by the selected column", hint: "s sort", keep: 4, do: func(m *Model) tea.Cmd { return m.sortTable(false) }},
		{keys: []string{"S"}, at: onTable, what: "sort the other way round", do: func(m *Model) tea.Cmd { return m.sortTable(true) }},
		{keys: []string{">"}, at: onTable, what: "select the next column", do: func(m *Model) tea.Cmd { return m.stepColumn(1) }},
		{keys: []string{"<"}, at: onTable, what: "select the column before", hint: "<> column", keep: 3, do: func(m *Model) tea.Cmd { return m.stepColumn(-1) }},
		{keys: []string{"home"}, at: onTable, what: "the first row", do: func(m *Model) tea.Cmd { return m.scrollRows(-1 << 40) }},
		{keys: []string{"end"}, at: onTable, what: "the last row", do: func(m *Model) tea.Cmd { return m.scrollRows(1 << 40) }},
		{keys: []string{"v"}, at: onPanes, what: "another view of the value", hint: "v view", keep: 5, do: func(m *Model) tea.Cmd { return m.nextPane() }},
		{keys: []string{"z"}, at: inNotebook, what: "give the focused cell the whole screen, or give it back", hint: "z zoom", keep: 2, do: func(m *Model) tea.Cmd { return m.toggleZoom() }},
		{keys: []string{"!"}, at: inNotebook, what: "notes and warnings in full", do: func(m *Model) tea.Cmd { return m.openNotes() }},
	}
}

// notebookKeys edit the notebook.
func notebookKeys() []binding {
	return []binding{
		{keys: []string{"enter", "e"}, at: onStatement | onProse, not: onRun, what: "edit in place", hint: "Enter edit", keep: 7, do: func(m *Model) tea.Cmd { return m.edit() }},
		{keys: []string{":"}, at: inNotebook, what: "type a statement or a command (:help :w :q :theme)", hint: ": type", keep: 7, do: func(m *Model) tea.Cmd { return m.openPrompt(after) }},
		{keys: []string{"a", "o"}, at: inNotebook, what: "add a statement below", do: func(m *Model) tea.Cmd { return m.openPrompt(after) }},
		{keys: []string{"O"}, at: inNotebook, what: "add a statement above", do: func(m *Model) tea.Cmd { return m.openPrompt(above) }},
		{keys: []string{"d"}, at: onStatement, what: "delete the statement (u brings it back)", do: func(m *Model) tea.Cmd { return m.deleteCell() }},
		{keys: []string{"K", "alt+up"}, at: onStatement, what: "move the statement up", do: func(m *Model) tea.Cmd { return m.moveCell(-1) }},
		{keys: []string{"J", "alt+down"}, at: onStatement, what: "move the statement down", do: func(m *Model) tea.Cmd { return m.moveCell(1) }},
		{keys: []string{"u"}, at: inNotebook, what: "undo", hint: "u undo", keep: 3, do: func(m *Model) tea.Cmd { return m.undo() }},
		{keys: []string{"U", "ctrl+y"}, at: inNotebook, what: "redo", do: func(m *Model) tea.Cmd { return m.redo() }},
		{keys: []string{"w", "ctrl+s"}, at: inNotebook, what: "save now (it also saves by itself)", do: func(m *Model) tea.Cmd { return m.save() }},
		{keys: []string{"r"}, at: inNotebook, what: "take the file as it is on disk", off: notConflicted, do: func(m *Model) tea.Cmd { return m.reload() }},
		{keys: []string{"W"}, at: inNotebook, what: "keep ours over the file on disk", off: notConflicted, do: func(m *Model) tea.Cmd { return m.overwrite() }},
		{keys: []string{"c"}, at: onStatement, what: "stop computing it", off: notRunning, do: func(m *Model) tea.Cmd { return m.cancel() }},
		{keys: []string{"R"}, at: onStatement, what: "compute it afresh", do: func(m *Model) tea.Cmd { return m.rerun() }},
		{keys: []string{"esc"}, at: inNotebook, not: onRun, what: "leave the zoom", do: func(m *Model) tea.Cmd { m.zoom, m.follow = false, true; return nil }},
		{keys: []string{"q"}, at: inNotebook, what: "save and quit", hint: "q quit", keep: 1, do: func(m *Model) tea.Cmd { return m.quit() }},
		{keys: []string{"?"}, at: inNotebook | inRun, what: "the keys of where you are", hint: "? keys", keep: 9, do: func(m *Model) tea.Cmd { return m.openKeys() }},
		{keys: []string{"ctrl+c"}, at: inNotebook, what: "quit; warns once when something would be lost", do: func(m *Model) tea.Cmd { return m.interrupt() }},
		{keys: []string{"ctrl+z"}, at: inNotebook, what: "suspend (fg continues)", do: func(m *Model) tea.Cmd { return tea.Suspend }},
		{keys: []string{"ctrl+l"}, at: inNotebook, what: "draw the screen afresh", do: func(m *Model) tea.Cmd { return tea.ClearScreen }},
	}
}

// lineKeys type a line: a statement, a command, a search.
func lineKeys() []binding {
	leave := func(m *Model) tea.Cmd { return m.leaveLine() }
	return []binding{
		{keys: []string{"enter"}, at: inLine, what: "take the line (twice keeps one with an error)", hint: "Enter take", keep: 9, do: func(m *Model) tea.Cmd { return m.acceptLine() }},
		{keys: []string{"esc"}, at: inLine, what: "close the completions, then leave without a change", hint: "Esc leave", keep: 8, do: leave},
		{keys: []string{"tab"}, at: inLine, what: "complete, or take the completion picked", hint: "Tab complete", keep: 7, do: func(m *Model) tea.Cmd { return m.line.complete(m) }},
		{keys: []string{"up"}, at: inLine, what: "pick a completion; in the prompt the line before", do: func(m *Model) tea.Cmd { return m.lineUp(-1) }},
		{keys: []string{"down"}, at: inLine, what: "pick a completion; in the prompt the line after", do: func(m *Model) tea.Cmd { return m.lineUp(1) }},
		{keys: []string{"shift+tab", "ctrl+p"}, at: inLine, what: "pick the completion before", do: func(m *Model) tea.Cmd { m.line.pick(-1); return nil }},
		{keys: []string{"ctrl+n"}, at: inLine, what: "pick the next completion", do: func(m *Model) tea.Cmd { m.line.pick(1); return nil }},
		{keys: []string{"ctrl+r"}, at: inPrompt, what: "search the history of the prompt", do: func(m *Model) tea.Cmd { return m.startRecall() }},
		{keys: []string{"ctrl+c"}, at: inLine | inSearch | inHistory | inProse, what: "leave; warns once when what was typed would be lost", hint: "Ctrl-C drop", keep: 2, do: func(m *Model) tea.Cmd { return m.interrupt() }},
		{keys: []string{"enter"}, at: inSearch, what: "stay at the place found", do: func(m *Model) tea.Cmd { return m.endSearch(true) }},
		{keys: []string{"esc"}, at: inSearch, what: "back to where the search began", do: func(m *Model) tea.Cmd { return m.endSearch(false) }},
		{keys: []string{"enter"}, at: inHistory, what: "take the line found", do: func(m *Model) tea.Cmd { return m.endRecall(true) }},
		{keys: []string{"ctrl+r", "up"}, at: inHistory, what: "the one before that", do: func(m *Model) tea.Cmd { m.hist.next(); return nil }},
		{keys: []string{"esc"}, at: inHistory, what: "back to the prompt", do: func(m *Model) tea.Cmd { return m.endRecall(false) }},
		{keys: []string{"esc", "ctrl+s"}, at: inProse, what: "keep the prose and leave", hint: "Esc keep", keep: 9, do: func(m *Model) tea.Cmd { return m.endProse() }},
	}
}

// overlayKeys read help and notes.
func overlayKeys() []binding {
	return []binding{
		{keys: []string{"esc", "q", "?", "!", "enter"}, at: inOverlay, what: "close", hint: "Esc close", keep: 9, do: func(m *Model) tea.Cmd { return m.closeOverlay() }},
		{keys: []string{"down", "j"}, at: inOverlay, what: "a line down", hint: "↑↓ scroll", keep: 5, do: func(m *Model) tea.Cmd { m.over.scroll(1); return nil }},
		{keys: []string{"up", "k"}, at: inOverlay, what: "a line up", do: func(m *Model) tea.Cmd { m.over.scroll(-1); return nil }},
		{keys: []string{"pgdown", "space"}, at: inOverlay, what: "a page down", do: func(m *Model) tea.Cmd { m.over.scroll(m.over.page); return nil }},
		{keys: []string{"pgup", "b"}, at: inOverlay, what: "a page up", do: func(m *Model) tea.Cmd { m.over.scroll(-m.over.page); return nil }},
		{keys: []string{"i"}, at: inOverlay, what: "insert the example below the focus", hint: "i insert the example", keep: 8, off: noExample, do: func(m *Model) tea.Cmd { return m.insertExample() }},
		{keys: []string{"ctrl+c"}, at: inOverlay, what: "close", do: func(m *Model) tea.Cmd { return m.closeOverlay() }},
	}
}
