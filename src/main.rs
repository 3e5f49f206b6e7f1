//! The `goldwire` program.
#![allow(warnings)]
fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let args: Vec<String> = std::env::args().collect();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(std::env::var("GOLDWIRE_LOG").unwrap_or("warn".into())).init();
    let (metrics, registry) = goldwire::telemetry::instruments().unwrap();
    let dir = tempfile::tempdir().unwrap().keep();
    let get = |i: usize, d: u64| args.get(i).and_then(|a| a.parse().ok()).unwrap_or(d);
    let sabotage = match args.get(4).map(|a| a.as_str()) { Some("lose") => Some(goldwire::demo::Sabotage::Lose), Some("double") => Some(goldwire::demo::Sabotage::Double), Some("regress") => Some(goldwire::demo::Sabotage::Regress), _ => None };
    let settings = goldwire::demo::DemoSettings { events: get(1, 1000) as usize, rate: get(2, 300) as u32, seed: get(3, 1), dir: dir.clone(), sabotage };
    println!("{}", dir.display());
    let result = runtime.block_on(async { goldwire::demo::Demo::play(&settings, metrics, &registry, &mut std::io::stdout()).await.map(|_| ()) });
    println!("{result:?}");
    std::process::exit(0);
}
