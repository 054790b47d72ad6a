// A library without the function of a provider.
extern "C" int something_else();
int something_else() { return 1; }
