// Package importers reads files that hold sweep data into tables, one format a
// file of this package. Formats register themselves in formats.go; the format of
// a file is found by its content, its name only breaking ties.
//
// A directory is searched for runs, which become a row each: configuration, final
// metrics and, from ReadRuns, their curves. A run is a directory with metrics, or a
// log file by itself.
//
// Importers stream: memory is bounded by the columns kept. They write nothing and
// fit nothing. Bad input gives an error that names file, line and column; of a damaged
// file the rows before the damage are kept, with a note that says as much. Text that
// is compressed with gzip is unpacked as it is read, to 100 times its size at most;
// what else is packed is refused with how to unpack it.
package importers
