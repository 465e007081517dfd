//! Request and response bodies of tmws, and refusals as bodies. Pure.
