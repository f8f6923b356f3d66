"""Networks: image batch in, four head maps out. Parameter names follow the original's state_dict."""
