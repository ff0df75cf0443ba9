package config

// Read reads a file's content without any environment.
func Read(name string, data []byte) (Config, error) {
	l := loader{values: map[string]value{}}
	l.parse(name, data)
	return l.config()
}
